import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { runCli } from './cli.ts'
import type { Io } from './io.ts'

// For tests: one command line in a world of its own, and a server that answers as the test says.

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

export interface Bench {
  /** A folder of this bench's own: home, working folder and configuration. */
  home: string
  run(
    args: readonly string[],
    options?: { env?: Record<string, string>; stdin?: string; signal?: AbortSignal },
  ): Promise<Ran>
  close(): void
}

function sink(): { stream: Writable; text: () => string } {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return { stream, text: () => text }
}

/** Runs command lines as a shell without a terminal would. */
export function openBench(): Bench {
  const home = mkdtempSync(join(tmpdir(), 'wh-cli-'))
  return {
    home,
    async run(args, { env = {}, stdin = '', signal = new AbortController().signal } = {}) {
      const [out, err] = [sink(), sink()]
      const io: Io = {
        // A data folder that is not there, so that no installation of this machine is found.
        env: { HOME: home, WHEELHOUSE_DATA_DIR: join(home, 'no-data'), ...env },
        cwd: home,
        stdin: Readable.from([Buffer.from(stdin)]) as NodeJS.ReadStream,
        stdout: out.stream,
        stderr: err.stream,
        signal,
      }
      const code = await runCli(args, io)
      return { code, stdout: out.text(), stderr: err.text() }
    },
    close: () => rmSync(home, { recursive: true, force: true }),
  }
}

export interface Seen {
  method: string
  path: string
  query: Record<string, string>
  headers: IncomingMessage['headers']
  body: unknown
}

export interface Peer {
  url: string
  seen: Seen[]
  close(): void
}

/** A server that answers as the test says, and what it was asked. */
export async function openPeer(answer: (request: Seen, response: ServerResponse) => void): Promise<Peer> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://peer')
      const asked = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      }
      seen.push(asked)
      answer(asked, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Answers with JSON. */
export const json = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
