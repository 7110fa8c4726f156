//! The MCP endpoint: both protocol eras on one address, with sessions as sealed ids.

mod methods;
mod relay;
mod routes;
mod session;
mod stream;
mod tools;
mod transport;

pub use self::{
    routes::{routes, token_target},
    transport::serve,
};

use amalgam_protocol::{
    Era, Fault,
    pieces::share,
    present::{Identity, Offer},
};
use bytes::Bytes;

use self::transport::Target;
use crate::{
    app::App,
    auth::Caller,
    error::{Error, Kind},
    store::servers::Server,
};

/// One JSON-RPC request of one caller on one server.
pub struct Context<'a> {
    /// The node.
    pub app: &'a App,
    /// Who calls, for whom.
    pub caller: &'a Caller,
    /// The server that is called.
    pub server: &'a Server,
    /// The address it came to.
    pub target: &'a Target,
    /// Which dialect it speaks.
    pub era: Era,
    /// `x-credential-id`.
    pub credential_id: Option<&'a str>,
    /// `x-redirect-uri`.
    pub redirect_uri: Option<&'a str>,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
    /// The body of the request.
    pub body: &'a Bytes,
    /// All headers of the request.
    pub headers: &'a http::HeaderMap,
    /// The legacy session that it belongs to.
    pub session: Option<&'a session::Session>,
}

impl Context<'_> {
    /// An error of ours in the words of JSON-RPC, logged, for what goes wrong outside a tool.
    pub fn fault(&self, error: &Error) -> Fault {
        error.log(self.request_id);
        fault(error)
    }

    /// Whether the client's revision has links among the content of results; of a client that names none it is not known.
    pub fn knows_links(&self) -> bool {
        let session = self.session.map(|session| session.revision);
        match self.era {
            Era::Modern => true,
            Era::Legacy { header_version } => session.or(header_version).is_some_and(|revision| revision.as_str() >= "2025-06-18"),
        }
    }

    /// A part of the body, to keep without a copy.
    pub fn part(&self, text: &str) -> Bytes {
        share(self.body, text).unwrap_or_else(|| Bytes::copy_from_slice(text.as_bytes()))
    }

    /// How the server presents itself.
    pub fn identity(&self) -> Identity<'_> {
        identity(self.server)
    }

    /// `serverInfo` as JSON; modern answers carry it.
    pub fn server_info(&self) -> String {
        if self.era.is_modern() { self.identity().info() } else { String::new() }
    }
}

fn identity(server: &Server) -> Identity<'_> {
    Identity {
        name: &server.name,
        title: None,
        version: env!("CARGO_PKG_VERSION"),
        instructions: Some(server.instructions.as_str()).filter(|text| !text.is_empty()),
    }
}

/// Extensions that are passed on between a client and an upstream of the modern era, and where an upstream declares them.
const EXTENSIONS: [(&str, &str); 3] = [
    ("io.modelcontextprotocol/tasks", "extensions/io.modelcontextprotocol~1tasks"),
    ("io.modelcontextprotocol/ui", "extensions/io.modelcontextprotocol~1ui"),
    (SKILLS, "extensions/io.modelcontextprotocol~1skills"),
];
const SKILLS: &str = "io.modelcontextprotocol/skills";

/// What a server offers: the same for all, and what the upstreams have that it exposes directly.
pub async fn offer(app: &App, server: &Server) -> crate::error::Result<Offer> {
    let upstreams = crate::direct::upstreams(&app.store, server).await?;
    let any = |pointer: &str| upstreams.iter().any(|loaded| loaded.upstream.as_ref().is_some_and(|offering| offering.has(pointer)));
    let settings = |name: &str| match name {
        SKILLS if any(methods::skills::DIRECTORIES) => serde_json::json!({ "directoryRead": true }),
        _ => serde_json::json!({}),
    };
    Ok(Offer {
        tools: true,
        resources: true,
        prompts: true,
        completions: true,
        list_changed: true,
        logging: any("logging"),
        subscribe: any("resources/subscribe"),
        tasks: any("tasks/requests/tools/call"),
        extensions: EXTENSIONS.iter().filter(|(_, pointer)| any(pointer)).map(|(name, _)| ((*name).to_owned(), settings(name))).collect(),
    })
}

/// An error of ours in the words of JSON-RPC.
pub fn fault(error: &Error) -> Fault {
    match error.kind {
        Kind::InvalidRequest => Fault::invalid_params(error.message.clone()),
        Kind::Internal | Kind::Unavailable => Fault { message: error.message.to_string(), ..Fault::internal() },
        _ => Fault { http: 200, code: amalgam_protocol::fault::TRANSPORT, message: error.message.to_string(), data: None },
    }
}
