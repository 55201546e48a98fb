/**
 * Virtual addresses and loopback addresses, as numbers and as text. Pure, and the probe for
 * ::1. Used in this room and by those who allocate addresses.
 */
import { networkInterfaces } from 'node:os'
import { parseVirtualAddress } from '../wire/virtual-address.ts'

/** 127.64.0.0 */
const VIRTUAL_BASE = ((127 << 24) | (64 << 16)) >>> 0

/** An IPv4 address as a number, or undefined for anything else. Accepts ::ffff:1.2.3.4. */
export function parseIpv4(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(text)
  if (match === null) return undefined
  let value = 0
  for (let part = 1; part <= 4; part += 1) {
    const byte = Number(match[part])
    if (byte > 255) return undefined
    value = value * 256 + byte
  }
  return value
}

export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
}

/** Whether an address, in whichever form sockets tell it, may be an endpoint's. */
export function isVirtualAddress(text: string | undefined): boolean {
  const value = parseIpv4(text)
  return value !== undefined && parseVirtualAddress(formatIpv4(value)) !== undefined
}

/** Whether an address lies in 127.0.0.0/8. */
export function isIpv4Loopback(text: string | undefined): boolean {
  const value = parseIpv4(text)
  return value !== undefined && value >>> 24 === 127
}

/** The `index`-th virtual address, counted from 1: 127.64.0.1 is the driver's. */
export function virtualAddress(index: number): string {
  return formatIpv4(VIRTUAL_BASE + index)
}

/** Whether `[::1]` can be bound here: false with net.ipv6.conf.all.disable_ipv6=1, and in some containers. */
export function hasIpv6Loopback(interfaces = networkInterfaces()): boolean {
  for (const addresses of Object.values(interfaces)) {
    if (addresses?.some(({ address }) => address === '::1')) return true
  }
  return false
}

/** Whether this network namespace has nothing but loopback, so that nobody outside reaches a wildcard listener. */
export function isLoopbackOnly(interfaces = networkInterfaces()): boolean {
  return Object.values(interfaces).every((addresses) => addresses?.every(({ internal }) => internal) ?? true)
}
