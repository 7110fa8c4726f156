//! An MCP client that signs its user in, and the browser of that user: forms, cookies and redirects as they come.

use std::cell::RefCell;

use amalgam_vault::{hash_token, url_safe};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{Answer, Ask, TestNode, mcp};

/// The password of every test user.
pub const PASSWORD: &str = "correct horse battery";
/// The verifier of every test client; its challenge is `challenge()`.
pub const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";
/// Where every test client is sent.
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";

/// The challenge of `VERIFIER`.
pub fn challenge() -> String {
    url_safe(&hash_token(VERIFIER))
}

/// Registers a user who can sign in; returns its id.
pub async fn user(node: &TestNode, name: &str) -> String {
    let made = node.post("/users", json!({ "username": name, "password": PASSWORD })).await.expect(201);
    made.body["userId"].as_str().unwrap().to_owned()
}

/// Fields as a form or a query.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// POSTs a form.
pub fn form(url: impl Into<String>, fields: &[(&str, &str)]) -> Ask {
    Ask::new("POST", url).body("application/x-www-form-urlencoded", encoded(fields))
}

/// A parameter of the address that an answer redirects to.
pub fn parameter(answer: &Answer, name: &str) -> Option<String> {
    let to = Url::parse(answer.header("location")).unwrap_or_else(|_| panic!("no redirect: {} {}", answer.status, answer.text));
    let found: Vec<String> = to.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect();
    assert!(found.len() <= 1, "{name} is there more than once in {to}");
    found.into_iter().next()
}

/// A browser with one cookie.
#[derive(Default)]
pub struct Browser {
    cookie: RefCell<String>,
}

impl Browser {
    /// Sends a request with the cookie, and keeps the one that comes.
    pub async fn send(&self, ask: Ask) -> Answer {
        let cookie = self.cookie.borrow().clone();
        let answer = if cookie.is_empty() { ask.send().await } else { ask.header("cookie", cookie).send().await };
        if let Some((cookie, _)) = answer.header("set-cookie").split_once(';') {
            cookie.clone_into(&mut self.cookie.borrow_mut());
        }
        answer
    }

    /// The same browser at the same moment, as somebody who has copied its cookie.
    pub fn copy(&self) -> Self {
        Self { cookie: self.cookie.clone() }
    }
}

/// The sealed request in a page's form.
pub fn request_of(page: &Answer) -> String {
    let (_, rest) = page.text.split_once("name=\"request\" value=\"").unwrap_or_else(|| panic!("no form: {}", page.text));
    rest.split_once('"').unwrap().0.to_owned()
}

/// A client of one server.
pub struct Client {
    /// The address of the node.
    pub node: String,
    /// The address of the server.
    pub resource: String,
    /// As it is registered.
    pub id: String,
}

/// What a client has got.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Opens the server.
    pub access: String,
    /// Gets new ones, once.
    pub refresh: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        let text = |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", answer.text)).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

impl Client {
    /// Registers a public client that is sent to `REDIRECT`.
    pub async fn register(node: &TestNode, resource: &str) -> Self {
        let body = json!({ "client_name": "Test client", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
        let made = Ask::new("POST", format!("{}/oauth/register", node.url)).json(&body).send().await.expect(201);
        Self { node: node.url.clone(), resource: resource.to_owned(), id: made.body["client_id"].as_str().unwrap().to_owned() }
    }

    /// What it asks for, as fields that a test may change.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("code_challenge", challenge()),
            ("code_challenge_method", "S256".to_owned()),
            ("state", "client state".to_owned()),
            ("scope", "mcp".to_owned()),
            ("resource", self.resource.clone()),
        ]
    }

    /// The page that these fields lead to.
    pub async fn authorize(&self, browser: &Browser, fields: &[(&'static str, String)]) -> Answer {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        browser.send(Ask::new("GET", format!("{}/oauth/authorize?{query}", self.node))).await
    }

    /// Sends the form of the page for signing in.
    pub async fn sign_in(&self, browser: &Browser, page: &Answer, name: &str, password: &str) -> Answer {
        let request = request_of(page);
        let fields = [("request", request.as_str()), ("username", name), ("password", password)];
        browser.send(form(format!("{}/oauth/sign-in", self.node), &fields)).await
    }

    /// Sends the form of the page for consent.
    pub async fn decide(&self, browser: &Browser, page: &Answer, decision: &str) -> Answer {
        let request = request_of(page);
        browser.send(form(format!("{}/oauth/consent", self.node), &[("request", request.as_str()), ("decision", decision)])).await
    }

    /// A code of this user, who signs in and allows.
    pub async fn code(&self, name: &str) -> String {
        let browser = Browser::default();
        let page = self.authorize(&browser, &self.fields()).await.expect(200);
        let page = self.sign_in(&browser, &page, name, PASSWORD).await.expect(200);
        let answer = self.decide(&browser, &page, "allow").await.expect(303);
        assert_eq!(parameter(&answer, "state").as_deref(), Some("client state"));
        assert_eq!(parameter(&answer, "iss").as_ref(), Some(&self.node));
        parameter(&answer, "code").expect("a code")
    }

    /// Sends these fields to the token endpoint.
    pub async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        form(format!("{}/oauth/token", self.node), fields).send().await
    }

    /// Exchanges a code.
    pub async fn exchange(&self, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", &self.resource),
        ])
        .await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("client_id", &self.id), ("refresh_token", token), ("resource", &self.resource)])
            .await
    }

    /// Everything from sign-in to tokens.
    pub async fn tokens(&self, name: &str) -> Tokens {
        Tokens::of(&self.exchange(&self.code(name).await).await.expect(200))
    }

    /// The tokens of an answer.
    pub fn read(answer: &Answer) -> Tokens {
        Tokens::of(answer)
    }

    /// A request to its server with this token.
    pub async fn call(&self, token: &str, method: &str, params: Value) -> Answer {
        Ask::new("POST", &self.resource).header("accept", mcp::ACCEPT).key(token).json(&mcp::request(method, params)).send().await
    }
}
