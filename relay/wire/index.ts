/** The wire's public face: frames and handshake as pure functions over bytes. */
export * from './control.ts'
export * from './decode.ts'
export * from './errors.ts'
export * from './header.ts'
