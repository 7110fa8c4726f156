//! Which addresses and URLs are called.

use ipnet::IpNet;

use super::support::{egress, get};
use crate::egress::guard::is_permitted;
use crate::egress::{Egress, EgressConfig, EgressErrorKind, redirect};

fn judge(address: &str, allow: &[&str]) -> bool {
    let allow: Vec<IpNet> = allow.iter().map(|net| net.parse().unwrap()).collect();
    is_permitted(address.parse().unwrap(), &allow)
}

#[test]
fn special_addresses_are_closed() {
    let closed = [
        // IPv4: first and last of each range.
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        // IPv6.
        "::",
        "::1",
        "::2",
        "::8.8.8.8",
        "::127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fdff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff00::1",
        "ff02::1",
        "ffff::1",
    ];
    for address in closed {
        assert!(!judge(address, &[]), "{address}");
    }
}

#[test]
fn public_addresses_are_open() {
    let open = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2600::1",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "3ffe:ffff::1",
    ];
    for address in open {
        assert!(judge(address, &[]), "{address}");
    }
}

#[test]
fn allow_opens_what_it_names_and_no_more() {
    // (address, allow, permitted)
    let cases: [(&str, &[&str], bool); 22] = [
        ("10.1.2.3", &["10.1.0.0/16"], true),
        ("10.2.2.3", &["10.1.0.0/16"], false),
        ("::ffff:10.1.2.3", &["10.1.0.0/16"], true),
        ("::ffff:10.2.2.3", &["10.1.0.0/16"], false),
        ("::ffff:8.8.8.8", &["::ffff:0:0/96"], true),
        ("::ffff:10.0.0.1", &["::ffff:0:0/96"], false),
        ("::ffff:10.0.0.1", &["::ffff:0:0/96", "10.0.0.0/8"], true),
        ("::1", &["::1/128"], true),
        ("::1", &["127.0.0.0/8"], false),
        ("fd00::5", &["fd00::/8"], true),
        ("64:ff9b::8.8.8.8", &["64:ff9b::/96"], true),
        ("64:ff9b::10.0.0.1", &["64:ff9b::/96"], false),
        ("64:ff9b::169.254.169.254", &["::/0"], false),
        ("::ffff:127.0.0.1", &["::/0"], false),
        ("64:ff9b:1::8.8.8.8", &["64:ff9b:1::/48"], true),
        ("64:ff9b:1::10.0.0.1", &["64:ff9b:1::/48"], false),
        ("2002:a00:1::1", &["2002::/16"], false),
        ("2002:808:808::1", &["2002::/16"], true),
        // Teredo: server 8.8.8.8, client ~f7f7:f7f7 = 8.8.8.8, then client ~f5ff:fffe = 10.0.0.1, then server 10.0.0.1.
        ("2001:0:808:808::f7f7:f7f7", &["2001::/32"], true),
        ("2001:0:808:808::f5ff:fffe", &["2001::/32"], false),
        ("2001:0:a00:1::f7f7:f7f7", &["2001::/32"], false),
        ("127.0.0.1", &["0.0.0.0/0"], true),
    ];
    for (address, allow, permitted) in cases {
        assert_eq!(judge(address, allow), permitted, "{address} with {allow:?}");
    }
}

/// Every way to write an address that the parser knows ends at the guard, whatever the form.
#[tokio::test]
async fn hosts_in_odd_forms_are_judged_as_addresses() {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "127.0.0.1.",
        "0x7F.0x0.0x0.0x1",
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        // Full-width digits and the ideographic full stop: mapped to ASCII by IDNA.
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "%31%32%37.0.0.1",
    ];
    let egress = Egress::new(EgressConfig { allow: Vec::new(), ..super::support::config() }).unwrap();
    for host in hosts {
        for scheme in ["http", "https"] {
            let error = egress.send(get(&format!("{scheme}://{host}:9/"))).await.unwrap_err();
            assert_eq!(*error.kind(), EgressErrorKind::Forbidden, "{scheme}://{host}: {error}");
        }
    }
    for host in ["localhost", "LOCALHOST"] {
        let error = egress.send(get(&format!("http://{host}:9/"))).await.unwrap_err();
        assert_eq!(*error.kind(), EgressErrorKind::Forbidden, "{host}: {error}");
    }
}

/// Nothing in a URL becomes a second header or another host.
#[tokio::test]
async fn urls_that_mean_two_things_are_refused() {
    let urls = [
        "",
        "/relative",
        "example.com/path",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://x/",
        "data:,x",
        "javascript:alert(1)",
        "http://",
        "http:///",
        "http://user@example.com/",
        "http://user:pw@example.com/",
        "http://:pw@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/a\r\nx: y",
        "http://exa\tmple.com/",
        " http://example.com/",
        "http://example.com/a b",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://exa%00mple.com/",
        "http://a<b/",
    ];
    for url in urls {
        let error = egress().send(get(url)).await.unwrap_err();
        assert!(matches!(error.kind(), EgressErrorKind::Invalid(_)), "{url:?}: {error:?}");
    }
    let long = format!("http://127.0.0.1/{}", "a".repeat(40_000));
    assert!(redirect::parse(&long).is_err());
    assert_eq!(redirect::parse("http://EXAMPLE.com:80/a?b#c").unwrap().as_str(), "http://example.com/a?b");
}
