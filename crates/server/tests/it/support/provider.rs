//! A platform with an authorization server of its own, on loopback: consent, tokens, refresh, revocation, and an API that takes its tokens.
//! It checks what a server must check, and misbehaves when it is told to.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use amalgam_vault::{hash_token, url_safe};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode, header::LOCATION};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use super::{Answer, Ask, TestNode, node::ADMIN_KEY};

/// The client that the provider knows.
pub const CLIENT: (&str, &str) = ("client-1", "client-secret-0123456789");

/// What the token endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// What it should.
    Well,
    /// Answers with a page.
    Html,
    /// Answers 503.
    Down,
    /// Refuses the refresh token with this code.
    Refuses(&'static str),
    /// Does not answer.
    Hangs,
    /// Grants a token of another type.
    OtherType,
    /// Never ends its answer.
    Endless,
    /// Refuses, and repeats what it was sent.
    Echoes,
}

/// How it grants.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Seconds; `None` = it does not say.
    pub expires_in: Option<Value>,
    /// Gives refresh tokens.
    pub refreshes: bool,
    /// Each use of a refresh token ends it.
    pub rotates: bool,
    /// Wraps its answer as Slack does for users.
    pub nested: bool,
    /// Sends `iss` with the code.
    pub iss: Option<String>,
}

struct Shared {
    mood: Mutex<Mood>,
    manner: Mutex<Manner>,
    /// Code: challenge, redirect address, who consented.
    codes: Mutex<HashMap<String, (String, String, String)>>,
    /// Access tokens that are good, and whose they are.
    access: Mutex<HashMap<String, String>>,
    refresh: Mutex<HashMap<String, String>>,
    spent: Mutex<HashSet<String>>,
    grants: Mutex<Vec<String>>,
    revoked: Mutex<Vec<String>>,
    count: Mutex<usize>,
    /// Grants wait for this while it is there.
    gate: Mutex<Option<Arc<Notify>>>,
    held: Mutex<usize>,
}

/// A running provider.
pub struct Provider {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Provider {
    /// Starts one: tokens of an hour, refresh tokens that rotate.
    pub async fn start() -> Self {
        let manner = Manner { expires_in: Some(json!(3_600)), refreshes: true, rotates: true, nested: false, iss: None };
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Well),
            manner: Mutex::new(manner),
            codes: Mutex::default(),
            access: Mutex::default(),
            refresh: Mutex::default(),
            spent: Mutex::default(),
            grants: Mutex::default(),
            revoked: Mutex::default(),
            count: Mutex::default(),
            gate: Mutex::default(),
            held: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/api/{*rest}", any(api))
            .with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// Its address as a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what the token endpoint does.
    pub fn be(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Changes how it grants.
    pub fn manner(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.shared.manner.lock().unwrap());
    }

    /// Grants so far of this type.
    pub fn granted(&self, grant: &str) -> usize {
        self.shared.grants.lock().unwrap().iter().filter(|granted| *granted == grant).count()
    }

    /// Tokens that were revoked.
    pub fn revoked(&self) -> usize {
        self.shared.revoked.lock().unwrap().len()
    }

    /// Ends all access tokens, as if their time were over.
    pub fn end_access(&self) {
        self.shared.access.lock().unwrap().clear();
    }

    /// Grants that are held back.
    pub fn held(&self) -> usize {
        *self.shared.held.lock().unwrap()
    }

    /// Holds grants back until it is notified.
    pub fn hold(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.shared.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// Imports it into a node as the connector `id`, with an OAuth client; returns the auth config's id.
    pub async fn import(&self, node: &TestNode, id: &str) -> String {
        self.import_with(node, id, json!({})).await
    }

    /// The same, with what else `connector.toml` could say of its OAuth.
    pub async fn import_with(&self, node: &TestNode, id: &str, oauth2: Value) -> String {
        self.import_as(node, ADMIN_KEY, id, oauth2).await
    }

    /// The same into the account of this admin key.
    pub async fn import_as(&self, node: &TestNode, key: &str, id: &str, oauth2: Value) -> String {
        let body = json!({ "id": id, "baseUrl": format!("{}/api", self.url()), "spec": self.document(oauth2) });
        node.ask("POST", "/api/connectors").key(key).json(&body).send().await.expect(201);
        let client = json!({ "connectorId": id, "clientId": CLIENT.0, "clientSecret": CLIENT.1 });
        let made = node.ask("POST", "/api/auth-configs").key(key).json(&client).send().await.expect(201);
        made.body["id"].as_str().unwrap().to_owned()
    }

    /// Its document.
    pub fn document(&self, oauth2: Value) -> Value {
        let url = self.url();
        let ok = json!({ "200": { "description": "ok" } });
        json!({
            "openapi": "3.0.3",
            "info": { "title": "Board", "version": "1" },
            "servers": [{ "url": format!("{url}/api") }],
            "security": [{ "oauth": [] }],
            "paths": { "/me": {
                "get": { "operationId": "whoAmI", "summary": "Show the account", "responses": ok },
                "post": { "operationId": "addNote", "summary": "Add a note", "responses": ok },
            } },
            "components": { "securitySchemes": { "oauth": { "type": "oauth2", "x-amalgam-oauth2": oauth2, "flows": { "authorizationCode": {
                "authorizationUrl": format!("{url}/authorize"), "tokenUrl": format!("{url}/token"),
                "scopes": { "read": "Read notes", "write": "Write notes" } } } } } },
        })
    }
}

async fn authorize(State(shared): State<Arc<Shared>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let right = of("response_type") == "code" && of("client_id") == CLIENT.0 && of("code_challenge_method") == "S256";
    if !right || of("code_challenge").len() != 43 || of("state").len() < 22 {
        return (StatusCode::BAD_REQUEST, "a request that no client should send").into_response();
    }
    let mut back = url::Url::parse(&of("redirect_uri")).unwrap();
    if query.contains_key("deny") {
        back.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", &of("state"));
    } else {
        let code = shared.next("code");
        let who = query.get("as").cloned().unwrap_or_else(|| "someone".to_owned());
        shared.codes.lock().unwrap().insert(code.clone(), (of("code_challenge"), of("redirect_uri"), who));
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &of("state"));
    }
    if let Some(iss) = shared.manner.lock().unwrap().iss.clone() {
        back.query_pairs_mut().append_pair("iss", &iss);
    }
    (StatusCode::FOUND, [(LOCATION, back.to_string())]).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(&body);
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    let mood = *shared.mood.lock().unwrap();
    let grant = of("grant_type");
    shared.grants.lock().unwrap().push(grant.clone());
    let gate = shared.gate.lock().unwrap().clone();
    if let Some(gate) = gate {
        *shared.held.lock().unwrap() += 1;
        gate.notified().await;
        *shared.held.lock().unwrap() -= 1;
    }
    let refuse = |code: &str| (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": code }))).into_response();
    match mood {
        Mood::Html => return (StatusCode::OK, [("content-type", "text/html")], "<h1>Sign in</h1>").into_response(),
        Mood::Down => return (StatusCode::SERVICE_UNAVAILABLE, "later").into_response(),
        Mood::Refuses(code) => return refuse(code),
        Mood::Hangs => std::future::pending().await,
        Mood::Endless => {
            let spaces = futures_util::stream::repeat(Bytes::from_static(&[b' '; 65_536])).map(Ok::<_, std::io::Error>);
            return Response::new(Body::from_stream(spaces));
        }
        Mood::Echoes => {
            let said = format!("{} is not good: {}", of("client_secret"), String::from_utf8_lossy(&body).replace(['&', '='], " "));
            return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "invalid_grant", "error_description": said }))).into_response();
        }
        Mood::Well | Mood::OtherType => {}
    }
    let is_known = headers.contains_key("authorization") || (of("client_id") == CLIENT.0 && of("client_secret") == CLIENT.1);
    if !is_known {
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({ "error": "invalid_client" }))).into_response();
    }
    let who = match grant.as_str() {
        "authorization_code" => {
            let Some((challenge, redirect, who)) = shared.codes.lock().unwrap().remove(&of("code")) else { return refuse("invalid_grant") };
            if url_safe(&hash_token(&of("code_verifier"))) != challenge || redirect != of("redirect_uri") {
                return refuse("invalid_grant");
            }
            who
        }
        "refresh_token" => {
            let presented = of("refresh_token");
            let Some(who) = shared.refresh.lock().unwrap().get(&presented).cloned() else { return refuse("invalid_grant") };
            if shared.manner.lock().unwrap().rotates {
                shared.refresh.lock().unwrap().remove(&presented);
                shared.spent.lock().unwrap().insert(presented);
            }
            who
        }
        _ => return refuse("unsupported_grant_type"),
    };
    axum::Json(shared.grant(&who, mood)).into_response()
}

fn form(body: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

async fn revoke(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let form = form(&body);
    let token = form.get("token").cloned().unwrap_or_default();
    shared.access.lock().unwrap().remove(&token);
    shared.refresh.lock().unwrap().remove(&token);
    shared.revoked.lock().unwrap().push(token);
    StatusCode::OK
}

async fn api(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).unwrap_or_default();
    match shared.access.lock().unwrap().get(token) {
        Some(who) => axum::Json(json!({ "who": who })).into_response(),
        None => (StatusCode::UNAUTHORIZED, axum::Json(json!({ "message": "the token is not good" }))).into_response(),
    }
}

impl Shared {
    fn next(&self, kind: &str) -> String {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        format!("{kind}-{count:08}-of-the-board")
    }

    fn grant(&self, who: &str, mood: Mood) -> Value {
        let manner = self.manner.lock().unwrap().clone();
        let access = self.next("access");
        self.access.lock().unwrap().insert(access.clone(), who.to_owned());
        let mut answer = json!({ "access_token": access, "token_type": if mood == Mood::OtherType { "mac" } else { "Bearer" } });
        if let Some(expires_in) = manner.expires_in {
            answer["expires_in"] = expires_in;
        }
        if manner.refreshes {
            let refresh = self.next("refresh");
            self.refresh.lock().unwrap().insert(refresh.clone(), who.to_owned());
            answer["refresh_token"] = refresh.into();
        }
        if manner.nested { json!({ "ok": true, "access_token": "of-the-app-not-of-the-user", "authed_user": answer }) } else { answer }
    }
}

/// A browser: it keeps the cookie of the node, and follows one step at a time.
#[derive(Default, Clone)]
pub struct Browser {
    cookie: Option<String>,
}

impl Browser {
    /// GET of an address.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.send(Ask::new("GET", url)).await
    }

    /// The form of a page, sent.
    pub async fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Ask::new("POST", url).body("application/x-www-form-urlencoded", body)).await
    }

    async fn send(&mut self, ask: Ask) -> Answer {
        let ask = match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie),
            None => ask,
        };
        let answer = ask.send().await;
        if let Some(cookie) = answer.header("set-cookie").split(';').next().filter(|cookie| !cookie.is_empty()) {
            self.cookie = Some(cookie.to_owned());
        }
        answer
    }

    /// Opens a link, goes on to the platform and consents there as `who`; returns the address that the platform sends the browser back to.
    pub async fn consent(&mut self, link: &str, who: &str) -> String {
        let page = self.get(link).await.expect(200);
        assert!(page.text.contains("value=\"oauth2\""), "{}", page.text);
        let onward = self.submit(link, &[("authenticationType", "oauth2")]).await.expect(303);
        let there = Ask::new("GET", format!("{}&as={who}", onward.header("location"))).send().await.expect(302);
        there.header("location").to_owned()
    }

    /// The whole way; returns the last page.
    pub async fn connect(&mut self, link: &str, who: &str) -> Answer {
        let back = self.consent(link, who).await;
        self.get(&back).await
    }
}

/// The link by which this user connects.
pub async fn link(node: &TestNode, connector: &str, user: &str) -> String {
    let body = json!({ "userId": user, "authenticationType": "oauth2" });
    let made = node.post(&format!("/connectors/{connector}/credentials"), body).await.expect(200);
    made.body["oauthUrl"].as_str().unwrap_or_else(|| panic!("no oauthUrl in {}", made.text)).to_owned()
}

/// The user, connected to the provider's account of the same name; returns the credential's id.
pub async fn connected(node: &TestNode, connector: &str, user: &str) -> String {
    Browser::default().connect(&link(node, connector, user).await, user).await.expect(200);
    let listed = node.ask("GET", &format!("/connectors/{connector}/credentials")).user(user).send().await.expect(200);
    listed.body["credentials"][0]["credentialId"].as_str().unwrap().to_owned()
}

/// Calls the API as this user by the REST twin.
pub async fn call(node: &TestNode, connector: &str, user: &str) -> Answer {
    node.ask("POST", &format!("/connectors/{connector}/actions/whoAmI/execute")).user(user).json(&json!({})).send().await
}
