import { failureOf } from '../api/failure.ts'
import { toast } from '../ui/toast.tsx'

/** Says of an act that failed what did not happen, and why in the server's words. */
export function failureToast(title: string): (error: unknown) => void {
  return (error) => toast({ status: 'failed', title, text: failureOf(error).message })
}
