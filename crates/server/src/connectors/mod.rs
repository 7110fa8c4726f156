//! Connectors ready for use: compiled, with picture and search index; the built-in ones.

pub mod brief;
pub mod builtin;
pub mod folder;
pub mod offering;
pub mod search;

use std::{
    borrow::Cow,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use amalgam_connector::Connector;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use self::{
    brief::{Brief, Briefs},
    offering::Offering,
    search::ActionIndex,
};

/// What lists say of a connector, without its actions.
#[derive(Debug, Clone, Deserialize)]
pub struct About {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people; may be empty.
    #[serde(default)]
    pub description: String,
    /// Lower case.
    #[serde(default)]
    pub categories: Vec<String>,
}

/// A connector that is compiled when it is first needed.
type Compiled = LazyLock<Connector, Box<dyn FnOnce() -> Connector + Send>>;

/// A connector with what is derived from it on demand.
pub struct Loaded {
    /// What lists say of it.
    pub about: About,
    /// The connector itself.
    pub connector: Compiled,
    /// Differs for each loading: what was derived from another one does not fit.
    pub version: u64,
    /// What the MCP server offers that this connector stands for; `None` for a platform.
    pub upstream: Option<Arc<Offering>>,
    /// Of a built-in one: its text.
    source: Option<&'static str>,
    /// Of one in a folder: the drawing beside it.
    icon: Option<String>,
    found: OnceLock<Found>,
}

/// What searches need.
struct Found {
    index: ActionIndex,
    /// Of a built-in one: it may not be compiled.
    briefs: Option<Briefs>,
}

impl Loaded {
    /// Wraps a compiled connector; its search index is built at the first search.
    pub fn new(connector: Connector) -> Self {
        let definition = connector.definition();
        let about = About {
            id: definition.id.clone(),
            name: definition.name.clone(),
            description: definition.description.clone(),
            categories: definition.categories.clone(),
        };
        Self::made(about, None, move || connector)
    }

    /// A built-in one, compiled when it is first needed.
    fn builtin(about: About, source: &'static str) -> Self {
        Self::made(about, Some(source), move || builtin::compile(source))
    }

    fn made(about: About, source: Option<&'static str>, compile: impl FnOnce() -> Connector + Send + 'static) -> Self {
        static VERSIONS: AtomicU64 = AtomicU64::new(0);
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        Self { about, connector: LazyLock::new(Box::new(compile)), version, upstream: None, source, icon: None, found: OnceLock::new() }
    }

    /// Whether it comes with the program.
    pub fn is_builtin(&self) -> bool {
        self.source.is_some()
    }

    /// Of the operator's folder.
    pub fn of_folder(connector: Connector, icon: Option<String>) -> Self {
        Self { icon, ..Self::new(connector) }
    }

    /// Of an MCP server that a user has registered.
    pub fn of_upstream(connector: Connector, offering: Arc<Offering>) -> Self {
        Self { upstream: Some(offering), ..Self::new(connector) }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// True when it is of this category, in any case of letters.
    pub fn has_category(&self, wanted: &str) -> bool {
        self.about.categories.iter().any(|category| category.eq_ignore_ascii_case(wanted))
    }

    /// Its picture as a `data:` address.
    pub fn icon(&self) -> String {
        let own = self.icon.as_deref().map(Cow::Borrowed);
        let svg = own.or_else(|| builtin::icon(self.id())).unwrap_or_else(|| tile(&self.about.name));
        format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg.as_bytes()))
    }

    /// Its search index, built at the first search.
    pub fn index(&self) -> &ActionIndex {
        &self.found().index
    }

    /// What a search says of one of its actions.
    pub fn brief(&self, action: &str) -> Option<Brief> {
        match &self.found().briefs {
            Some(briefs) => briefs.get(action),
            None => Brief::compiled(&self.connector, action),
        }
    }

    fn found(&self) -> &Found {
        self.found.get_or_init(|| match self.source {
            // A built-in one is read for this alone.
            Some(source) => {
                let definition = builtin::read(source);
                Found { index: ActionIndex::build(&definition), briefs: Some(Briefs::new(&definition)) }
            }
            None => Found { index: ActionIndex::compiled(&self.connector), briefs: None },
        })
    }
}

/// A letter tile for a connector without a picture.
fn tile(name: &str) -> Cow<'static, str> {
    let letter = name.chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string()).unwrap_or_else(|| "?".to_owned());
    Cow::Owned(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 64 64\"><rect width=\"64\" height=\"64\" rx=\"12\" fill=\"#4a5568\"/>\
         <text x=\"32\" y=\"43\" font-family=\"sans-serif\" font-size=\"32\" text-anchor=\"middle\" fill=\"#fff\">{letter}</text></svg>"
    ))
}
