import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { refusalOf } from './address-policy.js';

describe('refusalOf', () => {
  it.each([
    // IANA IPv4 Special-Purpose Address Registry, one address or more of every block
    ['0.0.0.0', 'this host'],
    ['0.255.1.1', 'this network'],
    ['10.0.0.1', 'private'],
    ['10.255.255.255', 'private'],
    ['100.64.0.1', 'shared address space'],
    ['100.127.255.254', 'shared address space'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['169.254.169.254', 'link local: the metadata service of clouds'],
    ['172.16.0.1', 'private'],
    ['172.31.255.254', 'private'],
    ['192.0.0.1', 'IETF protocol assignments'],
    ['192.0.0.171', 'NAT64 discovery'],
    ['192.0.2.1', 'documentation'],
    ['192.31.196.1', 'AS112'],
    ['192.52.193.1', 'AMT'],
    ['192.88.99.1', '6to4 relay anycast'],
    ['192.168.1.1', 'private'],
    ['192.175.48.1', 'AS112'],
    ['198.18.0.1', 'benchmarking'],
    ['198.19.255.254', 'benchmarking'],
    ['198.51.100.7', 'documentation'],
    ['203.0.113.7', 'documentation'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.250', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'broadcast'],
    // IANA IPv6 Special-Purpose Address Registry
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'IPv4-mapped loopback'],
    ['::ffff:7f00:1', 'IPv4-mapped loopback, in hexadecimal'],
    ['::ffff:10.1.2.3', 'IPv4-mapped private'],
    ['::127.0.0.1', 'IPv4-compatible'],
    ['::ffff:0:127.0.0.1', 'IPv4-translated'],
    ['64:ff9b::7f00:1', 'NAT64 of loopback'],
    ['64:ff9b::808:808', 'NAT64 of a public address'],
    ['64:ff9b:1::1', 'local-use NAT64'],
    ['100::1', 'discard'],
    ['100:0:0:1::1', 'dummy prefix'],
    ['2001::1', 'Teredo'],
    ['2001:1::1', 'port control protocol anycast'],
    ['2001:2::1', 'benchmarking'],
    ['2001:3::1', 'AMT'],
    ['2001:4:112::1', 'AS112'],
    ['2001:10::1', 'ORCHID'],
    ['2001:20::1', 'ORCHIDv2'],
    ['2001:30::1', 'drone remote ID'],
    ['2001:db8::1', 'documentation'],
    ['2002:7f00:1::1', '6to4 of loopback'],
    ['2002:808:808::1', '6to4 of a public address'],
    ['2620:4f:8000::1', 'AS112'],
    ['3fff::1', 'documentation'],
    ['5f00::1', 'segment routing'],
    ['fc00::1', 'unique local'],
    ['fdff::1', 'unique local'],
    ['fe80::1', 'link local'],
    ['fe80::1%eth0', 'link local with a zone'],
    ['fec0::1', 'site local, deprecated'],
    ['ff02::1', 'multicast'],
    ['4000::1', 'not delegated'],
    ['e000::1', 'not delegated'],
    // Not addresses
    ['127.1', 'short form'],
    ['0x7f.1', 'hexadecimal'],
    ['2130706433', 'a number'],
    ['localhost', 'a name'],
    ['', 'nothing'],
  ])('refuses %s (%s)', (address) => {
    expect(refusalOf(address, [])).toEqual(expect.any(String));
  });

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ])('lets %s through', (address) => {
    expect(refusalOf(address, [])).toBeUndefined();
    expect(refusalOf(`[${address}]`, [])).toBeUndefined();
  });

  it('lets through what is allowed, and no more', () => {
    const allowed = [ipaddr.parseCIDR('127.0.0.0/8'), ipaddr.parseCIDR('fd00::/16')];
    for (const address of ['127.0.0.1', '::ffff:127.9.9.9', 'fd00::9']) {
      expect(refusalOf(address, allowed)).toBeUndefined();
    }
    for (const address of ['10.0.0.1', 'fd01::1', '::1', '64:ff9b::7f00:1']) {
      expect(refusalOf(address, allowed)).toContain('WEBHOOK_ALLOW_CIDRS');
    }
  });
});
