/** The wheel. */
export function Mark(props: { size?: number }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width={props.size ?? 22}
      height={props.size ?? 22}
      aria-hidden
      fill="none"
      stroke="currentColor"
      strokeWidth="1.7"
      strokeLinecap="round"
      className="flex-none text-accent-text"
    >
      <circle cx="12" cy="12" r="6" />
      <circle cx="12" cy="12" r="1.9" fill="currentColor" stroke="none" />
      <path d="M12 2.4V6M12 18v3.6M2.4 12H6M18 12h3.6M5.2 5.2l2.55 2.55M16.25 16.25l2.55 2.55M5.2 18.8l2.55-2.55M16.25 7.75l2.55-2.55" />
    </svg>
  )
}
