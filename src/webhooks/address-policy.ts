import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** A range of addresses, `10.0.0.0/8` or `fd00::/8`, parsed. */
export type AddressRange = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** The unicast space that is delegated to the public (IANA IPv6 Global Unicast Address Assignments). */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3');

/**
 * Says why a webhook may not go to an address; undefined when it may.
 *
 * Only public unicast addresses are reached, unless `allowed` names more: everything that the IANA special-purpose
 * registries (RFC 6890) list is refused, and with it what carries an IPv4 address inside an IPv6 one, such as NAT64
 * (RFC 6052) and 6to4 (RFC 3056). An IPv4-mapped address (RFC 4291 §2.5.5.2) counts as the IPv4 address it is.
 *
 * @param address - an IP address as `dns.lookup` or a URL gives it; brackets around IPv6 are accepted.
 */
export function refusalOf(address: string, allowed: readonly AddressRange[]): string | undefined {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  // The strict notations only: what Node's connect would read as something else is no address here.
  if (!isIP(bare)) return `"${address.slice(0, 64)}" is not an IP address`;
  const ip = ipaddr.process(bare);
  if (allowed.some(([range, bits]) => range.kind() === ip.kind() && ip.match(range, bits))) return undefined;
  if (ip.range() === 'unicast' && (ip.kind() === 'ipv4' || ip.match(GLOBAL_UNICAST))) return undefined;
  return `${ip.toString()} is not a public address (${ip.range()}); WEBHOOK_ALLOW_CIDRS can allow it`;
}
