//! What a credential adds to a call, and what a user token does: verified anew, and verified a moment ago.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use amalgam_vault::url_safe;
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

use crate::{
    api,
    job::Job,
    report::median,
    scenarios::{Bench, Subject},
    world::{Installation, Node, execute, execute_of},
};

/// The header of user tokens.
const HEADER: &str = "x-alloy-user-token";
/// The issuer that signs with a secret.
const HS_ISSUER: &str = "https://hs.bench.example";
/// The issuer that has keys.
const RS_ISSUER: &str = "https://rs.bench.example";
/// That secret.
const SECRET: &str = "bench-issuer-secret-0123456789abcdef";

/// Who signs.
enum Signer {
    Hs(Box<hmac::Key>),
    Rs(Box<RsaKeyPair>),
}

impl Signer {
    /// So many tokens for the servers' owner, each different. They end long after the measurement.
    fn tokens(&self, from: usize, count: usize) -> Result<Vec<String>, String> {
        (from..from + count).map(|n| self.token(n)).collect()
    }

    fn token(&self, n: usize) -> Result<String, String> {
        let (alg, iss) = match self {
            Self::Hs(_) => ("HS256", HS_ISSUER),
            Self::Rs(_) => ("RS256", RS_ISSUER),
        };
        let header = json!({ "alg": alg, "typ": "JWT", "kid": "bench" }).to_string();
        let claims =
            json!({ "iss": iss, "sub": "admin", "aud": "amalgam", "exp": 4_000_000_000_u64, "jti": format!("{n:08}") }).to_string();
        let message = format!("{}.{}", url_safe(header.as_bytes()), url_safe(claims.as_bytes()));
        let signature = match self {
            Self::Hs(key) => hmac::sign(key, message.as_bytes()).as_ref().to_vec(),
            Self::Rs(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).map_err(|e| e.to_string())?;
                signature
            }
        };
        Ok(format!("{message}.{}", url_safe(&signature)))
    }
}

impl Bench {
    /// Measures all of it.
    pub fn identity(&mut self) -> Result<(), String> {
        let installation = Installation::new(&self.programs, self.platform.address, 10)?;
        let node = installation.start(&self.programs)?;
        self.credentials(&installation, &node)?;
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|e| e.to_string())?;
        let keys = serve(&jwks(&pair))?;
        node.call("/api/jwt-issuers", &json!({ "issuer": HS_ISSUER, "audience": "amalgam", "secret": SECRET }))?;
        node.call("/api/jwt-issuers", &json!({ "issuer": RS_ISSUER, "audience": "amalgam", "jwksUrl": format!("http://{keys}/keys") }))?;
        let hs = Signer::Hs(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes())));
        for (name, signer, target) in [("HS256", hs, 10.0), ("RS256", Signer::Rs(Box::new(pair)), 30.0)] {
            self.user_tokens(&installation, &node, name, &signer, target)?;
        }
        Ok(())
    }

    fn credentials(&mut self, installation: &Installation, node: &Node) -> Result<(), String> {
        let paths = || installation.paths(10);
        let without = execute_of(api::OPEN_CONNECTOR, node.address, false, paths(), 0);
        let with = execute(node.address, false, paths(), 0);
        let requests = self.requests;
        self.added("call with a credential", "without one", node, &without, |_| Ok(with.clone()), requests, 5.0)
    }

    fn user_tokens(&mut self, at: &Installation, node: &Node, name: &str, signer: &Signer, target: f64) -> Result<(), String> {
        let plain = execute(node.address, false, at.paths(10), 0);
        // Each token is shown once, so that none was verified before.
        let requests = self.requests / 3;
        let new = |round| Ok(plain.with_each(HEADER, signer.tokens(round * requests, requests)?));
        self.added(&format!("call with a user token ({name})"), "without one", node, &plain, new, requests, target)?;
        let one = plain.with_each(HEADER, signer.tokens(0, 1)?);
        let measured = format!("call with a user token ({name}) that was verified before");
        self.added(&measured, "without one", node, &plain, |_| Ok(one.clone()), requests, 2.0)
    }

    /// The CPU time that the second of two jobs costs beyond the first, of the same process.
    #[expect(clippy::too_many_arguments, reason = "the parts of one row")]
    fn added(
        &mut self,
        name: &str,
        beside: &str,
        node: &Node,
        first: &Job,
        second: impl Fn(usize) -> Result<Job, String>,
        requests: usize,
        target: f64,
    ) -> Result<(), String> {
        let subject = |job: Job| Subject { process: &node.process, job };
        // The round before the first warms up.
        let (mut costs, mut added) = ((Vec::new(), Vec::new()), Vec::new());
        for round in 0..=self.rounds {
            let a = self.cost(&subject(first.clone()), requests)?;
            let b = self.cost(&subject(second(round)?), requests)?;
            if round > 0 {
                costs.0.push(a);
                costs.1.push(b);
                added.push(b - a);
            }
        }
        let measured = format!("{:.1} us CPU, {beside} {:.1} us", median(costs.1), median(costs.0));
        self.note(name, &measured, added, "us", Some(target));
        Ok(())
    }
}

fn jwks(pair: &RsaKeyPair) -> Value {
    let key = pair.public_key();
    let (n, e) = (key.modulus().big_endian_without_leading_zero(), key.exponent().big_endian_without_leading_zero());
    json!({ "keys": [{ "kty": "RSA", "kid": "bench", "alg": "RS256", "n": url_safe(n), "e": url_safe(e) }] })
}

/// Answers every request with this.
fn serve(document: &Value) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let body = document.to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes()));
        }
    });
    Ok(address)
}
