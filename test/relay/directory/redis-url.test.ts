import { describe, expect, it } from 'vitest'
import { parseRedisUrl, redactRedisUrl } from '../../../relay/directory/redis-url.ts'

describe('--redis', () => {
  it('names one server, with its port, database, user and password', () => {
    expect(parseRedisUrl('redis://10.0.0.1')).toEqual({
      is: 'standalone',
      nodes: [{ host: '10.0.0.1', port: 6379 }],
      groupName: '',
      db: 0,
      hasTls: false,
      username: undefined,
      password: undefined,
    })
    expect(parseRedisUrl('rediss://relay:p%40ss@cache.example:7000/3')).toMatchObject({
      nodes: [{ host: 'cache.example', port: 7000 }],
      db: 3,
      hasTls: true,
      username: 'relay',
      password: 'p@ss',
    })
    expect(parseRedisUrl('redis://:p@[::1]:7000')).toMatchObject({
      nodes: [{ host: '::1', port: 7000 }],
      username: undefined,
      password: 'p',
    })
  })

  it('names Sentinels and their group', () => {
    expect(parseRedisUrl('redis+sentinel://a:1,b/group')).toMatchObject({
      is: 'sentinel',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 26379 },
      ],
      groupName: 'group',
      db: 0,
    })
    expect(parseRedisUrl('rediss+sentinel://a/group/2')).toMatchObject({ hasTls: true, db: 2 })
  })

  it('names some nodes of a Cluster', () => {
    expect(parseRedisUrl('redis+cluster://a:1,b:2')).toMatchObject({
      is: 'cluster',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    })
  })

  it.each([
    'redis://',
    'redis://a,b',
    'redis://a:0',
    'redis://a:70000',
    'redis://a/x',
    'redis+sentinel://a',
    'redis+cluster://a/1',
    'http://a',
    'redis://%zz@a',
  ])('does not take %s', (text) => {
    expect(parseRedisUrl(text)).toBeUndefined()
  })

  it('is shown without its password', () => {
    expect(redactRedisUrl('redis://user:secret@host:1/2')).toBe('redis://host:1/2')
  })
})
