//! Address classes, range by range, with the neighbours of each range.

use std::net::IpAddr;

use super::{Class, classify, is_metadata_name};

fn check(address: &str, expected: Class) {
    let parsed: IpAddr = address.parse().unwrap();
    assert_eq!(classify(parsed), expected, "{address}");
}

#[test]
fn special_ranges_from_first_to_last_address() {
    for (first, last) in [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.31.196.0", "192.31.196.255"),
        ("192.52.193.0", "192.52.193.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("192.175.48.0", "192.175.48.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
    ] {
        check(first, Class::Special);
        check(last, Class::Special);
        // The same through every way of writing IPv4 into IPv6.
        for v4 in [first, last] {
            check(&format!("::ffff:{v4}"), Class::Special);
            check(&format!("::{v4}"), Class::Special);
            check(&format!("64:ff9b::{v4}"), Class::Special);
            check(&format!("64:ff9b:1::{v4}"), Class::Special);
            check(&format!("::ffff:0:{v4}"), Class::Special);
        }
    }
    for (first, last) in [
        ("::", "::ffff"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::ffff:ffff:ffff:ffff"),
        ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:1::1", "2001:1::3"),
        ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),
        ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"),
        ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("6000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        check(first, Class::Special);
        check(last, Class::Special);
    }
}

#[test]
fn addresses_beside_the_ranges_are_public() {
    for address in [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.31.195.255",
        "192.31.197.0",
        "192.52.192.255",
        "192.52.194.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "192.175.47.255",
        "192.175.49.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2000::",
        "2001:200::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2001:4860:4860::8888",
        "2003::",
        "2606:4700:4700::1111",
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8001::",
        "2a00:1450:4001::1",
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff:1000::",
        "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        check(address, Class::Public);
    }
}

#[test]
fn tunnels_are_never_public() {
    for address in [
        "2002:808:808::",                       // 6to4 of 8.8.8.8
        "2002:7f00:1::1",                       // 6to4 of 127.0.0.1
        "2001:0:808:808:0:0:f7f7:f7f7",         // Teredo of 8.8.8.8
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", // Teredo, RFC 4380's example
        "::808:808",                            // IPv4-compatible 8.8.8.8
        "64:ff9b:1::808:808",                   // somebody's own NAT64
        "64:ff9b:0:1::808:808",                 // beside the well-known prefix
    ] {
        check(address, Class::Special);
    }
}

#[test]
fn metadata_through_every_wrapping() {
    for v4 in [
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "169.254.42.42",
        "100.100.100.200", "192.0.0.192", "168.63.129.16",
    ] {
        let [a, b, c, d] = v4.parse::<std::net::Ipv4Addr>().unwrap().octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        check(v4, Class::Metadata);
        for prefix in ["::ffff:", "::", "64:ff9b::", "64:ff9b:1::", "::ffff:0:"] {
            check(&format!("{prefix}{v4}"), Class::Metadata);
        }
        check(&format!("2002:{high:x}:{low:x}::1"), Class::Metadata);
        check(&format!("2001:0:{high:x}:{low:x}::"), Class::Metadata);
        check(&format!("2001::{:x}:{:x}", !high, !low), Class::Metadata);
        // RFC 6052 section 2.2: prefixes of 48, 56 and 64 bits keep bits 64 to 71 free.
        check(&format!("64:ff9b:1:{high:x}:{:x}:{:x}00::", c, u16::from(d)), Class::Metadata);
        check(&format!("64:ff9b:1:{a:x}:{b:x}:{c:02x}{d:02x}::"), Class::Metadata);
        check(&format!("64:ff9b:1:0:{a:x}:{b:02x}{c:02x}:{d:02x}00::"), Class::Metadata);
    }
    for v6 in ["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"] {
        check(v6, Class::Metadata);
    }
    check("169.254.169.253", Class::Special);
    check("168.63.129.17", Class::Public);
    check("fd00:ec2::253", Class::Special);
}

#[test]
fn metadata_names() {
    for name in ["metadata", "metadata.google.internal", "instance-data", "metadata.goog"] {
        assert!(is_metadata_name(name), "{name}");
    }
    for name in ["metadata.example.com", "google.internal", "xmetadata", "localhost", ""] {
        assert!(!is_metadata_name(name), "{name}");
    }
}
