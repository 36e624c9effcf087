import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isRoot } from './launch.ts'
import { isReachable, stage } from './staging.ts'

let root: string
const copies: string[] = []
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wh-stage-'))
  mkdirSync(join(root, 'bin'))
  writeFileSync(join(root, 'bin', 'tool'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(root, 'bin', 'closed'), 'text', { mode: 0o600 })
  symlinkSync('tool', join(root, 'bin', 'link'))
})
afterEach(() => {
  for (const dir of [root, ...copies.splice(0)]) rmSync(dir, { recursive: true, force: true })
})

const someone = { uid: 64_801, gid: 64_801 }

test('a file is reachable when every folder above it may be entered and the file be read', () => {
  expect(isReachable(join(root, 'bin', 'tool'))).toBe(false)
  chmodSync(root, 0o711)
  expect(isReachable(join(root, 'bin', 'tool'))).toBe(true)
  expect(isReachable(join(root, 'bin', 'closed'))).toBe(false)
})

describe.runIf(isRoot())('programs below a closed folder', () => {
  test('are copied once to where the child’s user can run them', () => {
    const copy = stage(root, ['bin'], '1', someone)
    copies.push(copy)
    expect(copy).not.toBe(root)
    for (const name of ['tool', 'closed', 'link']) expect(isReachable(join(copy, 'bin', name))).toBe(true)
    expect(statSync(join(copy, 'bin', 'tool')).mode & 0o111).toBe(0o111)
    expect(readFileSync(join(copy, 'bin', 'closed'), 'utf8')).toBe('text')
    expect(statSync(join(root, 'bin', 'closed')).mode & 0o777).toBe(0o600)
    expect(stage(root, ['bin'], '1', someone)).toBe(copy)
  })

  test('of another version are another copy', () => {
    copies.push(stage(root, ['bin'], '1', someone), stage(root, ['bin'], '2', someone))
    expect(new Set(copies).size).toBe(2)
    expect(copies.every((copy) => existsSync(join(copy, 'bin', 'tool')))).toBe(true)
  })

  test('that anyone can reach are used where they are, and so is everything when the child has our user', () => {
    chmodSync(root, 0o755)
    expect(stage(root, ['bin/tool'], '1', someone)).toBe(root)
    chmodSync(root, 0o700)
    expect(stage(root, ['bin'], '1', undefined)).toBe(root)
  })
})
