//! The curated connectors, embedded in the binary; each is parsed when it is first needed.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use amalgam_connector::{Connector, parse::parse_toml};
use include_dir::{Dir, include_dir};
use indexmap::IndexMap;

use super::Loaded;

static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../connectors");

/// By id, in the order of their ids.
pub static BUILTIN: LazyLock<IndexMap<String, Arc<Loaded>>> = LazyLock::new(|| {
    let mut all: IndexMap<String, Arc<Loaded>> = FOLDERS
        .dirs()
        .filter_map(|folder| folder.get_file(folder.path().join("connector.toml")))
        .filter_map(|file| {
            let text = file.contents_utf8()?;
            match parse_toml(text).and_then(Connector::new) {
                Ok(connector) => Some((connector.definition().id.clone(), Arc::new(Loaded::new(connector)))),
                Err(problems) => {
                    // A test parses every folder, so this is a build that was not tested.
                    for problem in problems {
                        tracing::error!(file = %file.path().display(), "{problem}");
                    }
                    None
                }
            }
        })
        .collect();
    all.sort_keys();
    all
});

/// The drawing that lies beside a curated connector.
pub fn icon(id: &str) -> Option<Cow<'static, str>> {
    FOLDERS.get_file(format!("{id}/icon.svg"))?.contents_utf8().map(Cow::Borrowed)
}
