import { describe, expect, test } from 'vitest'
import { beyondCeiling, meetPatterns, narrowRights, rightsInAccount, type SubjectRights } from './subject-rights.ts'

const rights = (allow: string[], deny: string[] = []): SubjectRights => ({
  pub: { allow, deny },
  sub: { allow, deny },
  extensions: '*',
})

describe('patterns that both lists hold', () => {
  test.each([
    [['>'], ['a.b', 'c.*'], ['a.b', 'c.*']],
    [['a.*'], ['*.b'], ['a.b']],
    [['a.>'], ['a.*.c'], ['a.*.c']],
    [['a.>'], ['a'], []],
    [['a.b'], ['a.c'], []],
    [['a.>', 'a.b'], ['a.>'], ['a.>']],
    [['a.> q'], ['a.b'], ['a.b q']],
    [['a q'], ['a p'], []],
  ])('%j and %j meet in %j', (one, other, met) => {
    expect(meetPatterns(one, other)).toEqual(met)
    expect(meetPatterns(other, one).toSorted()).toEqual(met.toSorted())
  })
})

test('a ceiling is met token by token, and infrastructure is always inside it', () => {
  const ceiling = { allow: ['cirata.extensions.mine.>', 'x.*'], deny: [] }
  expect(beyondCeiling('pub', ceiling, ['cirata.extensions.mine.a.b', 'x.y', '_INBOX.>', '$JS.API.INFO'])).toEqual([])
  expect(beyondCeiling('pub', ceiling, ['cirata.extensions.>', 'x.>', 'x.y.z', 'cirata.extensions.mine'])).toEqual([
    'cirata.extensions.>',
    'x.>',
    'x.y.z',
    'cirata.extensions.mine',
  ])
})

test('a key never has more than its owner, and without a limit of its own all that the owner has', () => {
  const owner = rights(['cirata.extensions.>'], ['cirata.extensions.secret.>'])
  expect(narrowRights(owner, { pub: {}, sub: {} }).pub).toEqual(owner.pub)
  expect(narrowRights(owner, { pub: { allow: ['cirata.>', 'other'] }, sub: { allow: [] } })).toMatchObject({
    pub: { allow: ['cirata.extensions.>'], deny: ['cirata.extensions.secret.>'] },
    sub: { allow: [] },
  })
})

test('worker subjects stay out of a user’s account, and beside workers nothing is given that was not asked for', () => {
  const operator = rights(['cirata.extensions.>', 'job.>', 'sys.job.result'])
  expect(rightsInAccount(operator, { pub: {}, sub: {} }, 'own').pub.allow).toEqual(['cirata.extensions.>'])
  expect(rightsInAccount(rights(['>']), { pub: {}, sub: {} }, 'tenant').sub.allow).toEqual([
    'job.>',
    'worker.>',
    'sys.>',
    'cirata.>',
  ])
})
