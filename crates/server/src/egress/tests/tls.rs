//! TLS: the certificate must fit the name of the URL, whatever the address.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::support::{Scripted, config, get};
use crate::egress::{Egress, EgressConfig, EgressError, EgressErrorKind, Incoming};

const NAME: &str = "tls.example";

/// Serves `answer` over TLS and gives the port and the certificate.
fn start(answer: &'static str) -> (u16, CertificateDer<'static>) {
    let (certificate, key) = certificate();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust us ends here with an error, as it should.
            serve(StreamOwned::new(connection, stream.unwrap()), answer).ok();
        }
    });
    (port, certificate)
}

fn serve(mut stream: StreamOwned<ServerConnection, TcpStream>, answer: &str) -> std::io::Result<()> {
    let mut seen = [0; 4096];
    if stream.read(&mut seen)? > 0 {
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// A self-signed certificate for [`NAME`] (X.509 version 3 with one alternative name, RFC 5280), and its key.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let algorithm = der(0x30, &[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]); // ecdsa-with-SHA256
    let common_name = der(0x30, &[b"\x06\x03\x55\x04\x03", &der(0x0c, &[b"test"])]);
    let name = der(0x30, &[&der(0x31, &[&common_name])]);
    let validity = der(0x30, &[&der(0x18, &[b"20200101000000Z"]), &der(0x18, &[b"29990101000000Z"])]);
    // ecPublicKey on prime256v1
    let curve = der(0x30, &[b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"]);
    let key = der(0x30, &[&curve, &der(0x03, &[b"\0", pair.public_key().as_ref()])]);
    let names = der(0x04, &[&der(0x30, &[&der(0x82, &[NAME.as_bytes()])])]);
    let extension = der(0x30, &[b"\x06\x03\x55\x1d\x11", &names]); // subjectAltName
    let extensions = der(0xa3, &[&der(0x30, &[&extension])]);
    let head = b"\xa0\x03\x02\x01\x02\x02\x01\x01"; // version 3, serial number 1
    let signed = der(0x30, &[head, &algorithm, &name, &validity, &name, &key, &extensions]);
    let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
    let whole = der(0x30, &[&signed, &algorithm, &der(0x03, &[b"\0", signature.as_ref()])]);
    let key = pair.to_pkcs8v1().unwrap();
    (whole.into(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_ref().to_vec())))
}

/// Tag, length, contents (X.690 section 8.1).
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(short @ ..0x80) => out.push(short),
        Ok(length) => out.extend([0x81, length]),
        Err(_) => out.extend([0x82, (contents.len() >> 8) as u8, contents.len() as u8]),
    }
    out.extend(contents);
    out
}

async fn call(port: u16, host: &str, trusted: Option<&CertificateDer<'static>>) -> Result<Incoming, EgressError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.cloned());
    let egress = Egress::new(EgressConfig {
        roots: Some(Arc::new(roots)),
        resolver: Scripted::new([vec!["127.0.0.1"]]),
        connect_timeout: Duration::from_millis(500),
        ..config()
    });
    egress.unwrap().send(get(&format!("https://{host}:{port}/"))).await
}

#[tokio::test]
async fn a_trusted_certificate_for_the_name_is_needed() {
    let (port, certificate) = start("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret");
    assert_eq!(call(port, NAME, Some(&certificate)).await.unwrap().body, "secret");
    assert_eq!(call(port, "tls.example.", Some(&certificate)).await.unwrap().body, "secret");

    let tls = EgressErrorKind::Tls;
    let error = call(port, "other.example", Some(&certificate)).await.unwrap_err();
    assert_eq!(*error.kind(), tls("its certificate is for another name"));
    let error = call(port, "127.0.0.1", Some(&certificate)).await.unwrap_err();
    assert_eq!(*error.kind(), tls("its certificate is for another name"));
    let (other, _) = start("");
    let error = call(other, NAME, Some(&certificate)).await.unwrap_err();
    assert!(matches!(error.kind(), EgressErrorKind::Tls(_)), "{error:?}");
    let error = call(port, NAME, None).await.unwrap_err();
    assert_eq!(*error.kind(), tls("its certificate comes from an authority that is not trusted here"));
    assert!(error.is_retryable_before_send());
}

#[tokio::test]
async fn servers_that_do_not_speak_tls_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Silent from here on: the second connection is never answered.
        (listener, stream)
    });
    let error = call(port, NAME, None).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::Tls("it does not speak TLS on this port"));
    let _open = plain.join().unwrap();
    let error = call(port, NAME, None).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::Connect);
    assert_eq!(error.cause(), "no connection within 500ms");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let (port, certificate) = start("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let error = call(port, NAME, Some(&certificate)).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::Redirect("it leads from https to http"));
}
