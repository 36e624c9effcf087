const WORDS: Readonly<Record<string, string>> = {
  sso_expired: 'The sign-in took too long, or was begun in another window. Try once more.',
  sso_refused: 'The identity provider declined the sign-in.',
  sso_failed:
    'The identity provider’s answer could not be trusted. If it stays so, an administrator finds the reason in the log.',
  sso_disabled: 'This user is disabled here. Ask an administrator.',
}

/** Why a sign-in at an identity provider led back here, in words; undefined where it did not. */
export const providerFailure = (code: string | undefined): string | undefined =>
  code === undefined ? undefined : Object.hasOwn(WORDS, code) ? WORDS[code] : 'The sign-in did not end well.'
