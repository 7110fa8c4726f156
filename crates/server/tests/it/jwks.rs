//! User tokens signed with private keys: the public ones are read from the issuer's address, kept, read again when one is new, and never
//! taken for anything else.

use amalgam_vault::url_safe;
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use serde_json::{Value, json};

use crate::support::{Ask, Platform, TestNode};

enum Pair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl Pair {
    fn ec() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self::Ec(Box::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap()))
    }

    fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": url_safe(&point[1..33]), "y": url_safe(&point[33..]) })
            }
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus().big_endian_without_leading_zero(), key.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": url_safe(n), "e": url_safe(e) })
            }
        }
    }

    /// What a public key looks like to somebody who takes it for a shared secret.
    fn public(&self) -> Vec<u8> {
        match self {
            Self::Ec(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    fn sign(&self, header: Value, claims: &Value) -> String {
        let mut all = json!({ "typ": "JWT", "alg": match self { Self::Ec(_) => "ES256", Self::Rsa(_) => "RS256" } });
        all.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        signed(&all, claims, |message| match self {
            Self::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Rsa(pair) => by_rsa(pair, &RSA_PKCS1_SHA256, message),
        })
    }
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", url_safe(header.to_string().as_bytes()), url_safe(claims.to_string().as_bytes()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", url_safe(&signature))
}

fn by_rsa(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn claims(user: &str) -> Value {
    json!({ "iss": "https://id.example", "sub": user, "aud": "us", "exp": 4_000_000_000_u64 })
}

async fn issuer(node: &TestNode, platform: &Platform) {
    let body = json!({ "issuer": "https://id.example", "audience": "us", "jwksUrl": format!("{}/keys", platform.url()) });
    let made = node.post("/api/jwt-issuers", body).await.expect(201);
    assert_eq!(made.body["jwksUrl"], format!("{}/keys", platform.url()));
}

async fn status(node: &TestNode, token: &str) -> u16 {
    Ask::new("GET", format!("{}/connectors", node.url)).header("x-alloy-user-token", token).send().await.status
}

#[tokio::test]
async fn keys_are_read_once_and_again_when_one_is_new() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    issuer(&node, &platform).await;
    let (ec, rsa, new) = (Pair::ec(), Pair::rsa(), Pair::ec());
    let useless = [
        json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" }),
        json!({ "kty": "EC", "crv": "P-999" }),
        json!(7),
    ];
    let keys: Vec<Value> = useless.into_iter().chain([ec.jwk("ec"), rsa.jwk("rsa")]).collect();
    platform.prepare(200, &[], &json!({ "keys": keys }));
    let calls = (0..20).map(|n| {
        let token =
            if n % 2 == 0 { ec.sign(json!({ "kid": "ec" }), &claims("ann")) } else { rsa.sign(json!({ "kid": "rsa" }), &claims("bob")) };
        let node = &node;
        async move { status(node, &token).await }
    });
    assert!(futures_util::future::join_all(calls).await.iter().all(|status| *status == 200));
    assert_eq!(platform.count(), 1, "twenty tokens at once ask once");
    assert_eq!(status(&node, &ec.sign(json!({}), &claims("ann"))).await, 200, "without a key id");
    // Anybody can name a key that does not exist: that does not make us ask each time.
    for n in 0..50 {
        assert_eq!(status(&node, &new.sign(json!({ "kid": format!("nothing-{n}") }), &claims("ann"))).await, 401);
    }
    assert_eq!(platform.count(), 1);
}

/// A key verifies each algorithm of its type, whichever comes first, and none of another's signatures.
#[tokio::test]
async fn every_algorithm_of_public_keys_verifies() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    issuer(&node, &platform).await;
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let (n, e) = (rsa.public_key().modulus(), rsa.public_key().exponent());
    let point = |curve: &str, id: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({ "kty": "EC", "crv": curve, "kid": id, "x": url_safe(x), "y": url_safe(y) })
    };
    let keys = [
        json!({ "kty": "RSA", "kid": "rsa", "n": url_safe(n.big_endian_without_leading_zero()), "e": url_safe(e.big_endian_without_leading_zero()) }),
        point("P-256", "p256", p256.public_key().as_ref()),
        point("P-384", "p384", p384.public_key().as_ref()),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": url_safe(ed.public_key().as_ref()) }),
    ];
    platform.prepare(200, &[], &json!({ "keys": keys }));
    let by = |encoding: &'static dyn RsaEncoding| {
        let rsa = &rsa;
        move |message: &[u8]| by_rsa(rsa, encoding, message)
    };
    type Sign<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;
    let all: [(&str, &str, Sign<'_>); 9] = [
        ("RS256", "rsa", Box::new(by(&RSA_PKCS1_SHA256))),
        ("RS384", "rsa", Box::new(by(&RSA_PKCS1_SHA384))),
        ("RS512", "rsa", Box::new(by(&RSA_PKCS1_SHA512))),
        ("PS256", "rsa", Box::new(by(&RSA_PSS_SHA256))),
        ("PS384", "rsa", Box::new(by(&RSA_PSS_SHA384))),
        ("PS512", "rsa", Box::new(by(&RSA_PSS_SHA512))),
        ("ES256", "p256", Box::new(|message| p256.sign(&random, message).unwrap().as_ref().to_vec())),
        ("ES384", "p384", Box::new(|message| p384.sign(&random, message).unwrap().as_ref().to_vec())),
        ("EdDSA", "ed", Box::new(|message| ed.sign(message).as_ref().to_vec())),
    ];
    for (algorithm, id, own) in &all {
        let header = json!({ "alg": algorithm, "kid": id });
        for (other, _, sign) in &all {
            let expected = if other == algorithm { 200 } else { 401 };
            assert_eq!(status(&node, &signed(&header, &claims("ann"), sign)).await, expected, "{algorithm}, signed by {other}");
        }
        let altered = signed(&header, &claims("ann"), |message| {
            let mut signature = own(message);
            signature[10] ^= 1;
            signature
        });
        assert_eq!(status(&node, &altered).await, 401, "{algorithm}, one bit altered");
    }
}

#[tokio::test]
async fn a_key_that_does_not_fit_verifies_nothing() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    issuer(&node, &platform).await;
    let (ec, rsa, other) = (Pair::ec(), Pair::rsa(), Pair::ec());
    platform.prepare(
        200,
        &[],
        &json!({ "keys": [ec.jwk("ec"), rsa.jwk("rsa"), Pair::ec().jwk("enc").as_object().map(|key| {
        let mut key = key.clone();
        key.insert("use".into(), "enc".into());
        key
    })] }),
    );
    assert_eq!(status(&node, &ec.sign(json!({ "kid": "ec" }), &claims("ann"))).await, 200);
    let hs = |secret: &[u8]| {
        let header = jsonwebtoken::Header { kid: Some("ec".to_owned()), ..jsonwebtoken::Header::default() };
        jsonwebtoken::encode(&header, &claims("ann"), &jsonwebtoken::EncodingKey::from_secret(secret)).unwrap()
    };
    let with = |member: &str, value: Value| {
        let mut claims = claims("ann");
        claims[member] = value;
        ec.sign(json!({ "kid": "ec" }), &claims)
    };
    let good = ec.sign(json!({ "kid": "ec" }), &claims("ann"));
    let (message, _) = good.rsplit_once('.').unwrap();
    let none = format!("{}.{}.", url_safe(b"{\"alg\":\"none\",\"kid\":\"ec\"}"), message.split('.').nth(1).unwrap());
    for (what, token) in [
        ("none", none),
        ("no signature", format!("{message}.")),
        ("the public key as a secret", hs(&ec.public())),
        ("the RSA key as a secret", hs(&rsa.public())),
        ("another key under this id", other.sign(json!({ "kid": "ec" }), &claims("ann"))),
        ("the id of a key of another type", ec.sign(json!({ "kid": "rsa" }), &claims("ann"))),
        ("another algorithm than the key's", rsa.sign(json!({ "kid": "rsa", "alg": "RS512" }), &claims("ann"))),
        ("a key in the header", other.sign(json!({ "kid": "ec", "jwk": other.jwk("ec") }), &claims("ann"))),
        ("a place in the header", other.sign(json!({ "kid": "ec", "jku": format!("{}/mine", platform.url()) }), &claims("ann"))),
        ("a file as key id", other.sign(json!({ "kid": "/dev/null" }), &claims("ann"))),
        ("an address as key id", other.sign(json!({ "kid": format!("{}/mine", platform.url()) }), &claims("ann"))),
        ("an extension", ec.sign(json!({ "kid": "ec", "crit": ["b64"], "b64": false }), &claims("ann"))),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("them"))),
        ("over", with("exp", json!(1))),
        ("not yet", with("nbf", json!(4_000_000_000_u64))),
    ] {
        assert_eq!(status(&node, &token).await, 401, "{what}");
    }
    assert_eq!(platform.count(), 1, "no header leads anywhere");
}

/// An address that answers nonsense, never ends, or is inside: 401 in time, and the log says why.
#[tokio::test]
async fn addresses_of_keys_are_hostile() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    for (n, path) in ["/do/endless", "/do/html", "/do/deep", "/do/500", "/do/garbage", "/do/round"].iter().enumerate() {
        let body = json!({ "issuer": format!("https://id{n}.example"), "jwksUrl": format!("{}{path}", platform.url()) });
        node.post("/api/jwt-issuers", body).await.expect(201);
        let mut claims = claims("ann");
        claims["iss"] = json!(format!("https://id{n}.example"));
        assert_eq!(status(&node, &Pair::ec().sign(json!({ "kid": "k" }), &claims)).await, 401, "{path}");
    }
    for url in ["http://id.example/keys", "file:///etc/passwd", "https://u:p@id.example/", "", "//x"] {
        node.post("/api/jwt-issuers", json!({ "issuer": "x", "jwksUrl": url })).await.refuses(400, "jwksUrl");
    }
    let both = json!({ "issuer": "x", "jwksUrl": "https://id.example", "secret": "0".repeat(32) });
    node.post("/api/jwt-issuers", both).await.refuses(400, "not both");
    let inside = json!({ "issuer": "https://inside.example", "jwksUrl": "https://169.254.169.254/keys" });
    node.post("/api/jwt-issuers", inside).await.expect(201);
    let mut claims = claims("ann");
    claims["iss"] = json!("https://inside.example");
    assert_eq!(status(&node, &Pair::ec().sign(json!({}), &claims)).await, 401);
}

/// An identity provider's users may say of themselves what they like: only what it vouches for names them here.
#[tokio::test]
async fn what_users_say_of_themselves_names_nobody() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    let ec = Pair::ec();
    let with = |claim: &str| json!({ "issuer": "https://id.example", "jwksUrl": format!("{}/keys", platform.url()), "userClaim": claim });
    node.post("/api/jwt-issuers", with("preferred_username")).await.refuses(400, "userClaim");
    node.post("/api/jwt-issuers", with("email")).await.expect(201);
    platform.prepare(200, &[], &json!({ "keys": [ec.jwk("ec")] }));
    for (verified, expected) in [(json!(null), 401), (json!(false), 401), (json!("true"), 401), (json!(true), 200)] {
        let mut claims = claims("ann");
        (claims["email"], claims["email_verified"]) = (json!("ann@example.com"), verified);
        assert_eq!(status(&node, &ec.sign(json!({ "kid": "ec" }), &claims)).await, expected);
    }
}

/// Many issuers of one name whose keys never come: all of them have one time together, and the one that answers counts.
#[tokio::test]
async fn slow_issuers_hold_up_nobody() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    let ec = Pair::ec();
    for n in 0..19 {
        let slow = json!({ "issuer": "https://id.example", "jwksUrl": format!("{}/do/never?{n}", platform.url()) });
        node.post("/api/jwt-issuers", slow).await.expect(201);
    }
    let token = ec.sign(json!({ "kid": "ec" }), &claims("ann"));
    let started = std::time::Instant::now();
    assert_eq!(status(&node, &token).await, 401);
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

/// What was verified a moment ago still ends when its issuer is deleted, and is nobody else's.
#[tokio::test]
async fn a_verified_token_ends_with_its_issuer() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    issuer(&node, &platform).await;
    let ec = Pair::ec();
    platform.prepare(200, &[], &json!({ "keys": [ec.jwk("ec")] }));
    let token = ec.sign(json!({ "kid": "ec" }), &claims("ann"));
    for _ in 0..3 {
        assert_eq!(status(&node, &token).await, 200);
    }
    let other = node.account("other").await;
    let foreign = Ask::new("GET", format!("{}/connectors", node.url)).key(&other).header("x-alloy-user-token", &token).send().await;
    assert_eq!(foreign.status, 401, "the issuer is another account's");
    let id = node.get("/api/jwt-issuers").await.body["issuers"][0]["id"].as_str().unwrap().to_owned();
    node.delete(&format!("/api/jwt-issuers/{id}")).await.expect(200);
    assert_eq!(status(&node, &token).await, 401);
}
