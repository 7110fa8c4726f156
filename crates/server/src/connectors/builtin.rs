//! The curated connectors, embedded in the binary. What lists say of them is read at once, and each is compiled when it is first needed:
//! all of them take more than a tenth of a second and some 15 MB.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use amalgam_connector::{Connector, definition::Definition};
use include_dir::{Dir, File, include_dir};
use indexmap::IndexMap;

use super::{About, Loaded};

static FOLDERS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../connectors");

/// By id, in the order of their ids.
pub static BUILTIN: LazyLock<IndexMap<String, Arc<Loaded>>> = LazyLock::new(|| {
    let files = FOLDERS.dirs().filter_map(|folder| folder.get_file(folder.path().join("connector.toml")));
    let mut all: IndexMap<String, Arc<Loaded>> = files
        .filter_map(File::contents_utf8)
        .map(|text| {
            // Actions come last in every folder, and are most of its text.
            let head = text.split("\n[actions").next().unwrap_or(text);
            let about: About = toml::from_str(head).unwrap_or_else(|error| untested(&error.to_string()));
            (about.id.clone(), Arc::new(Loaded::builtin(about, text)))
        })
        .collect();
    all.sort_keys();
    all
});

/// The definition that a folder holds.
pub(super) fn read(text: &str) -> Definition {
    toml::from_str(text).unwrap_or_else(|error| untested(&error.to_string()))
}

pub(super) fn compile(text: &str) -> Connector {
    Connector::new(read(text)).unwrap_or_else(|problems| untested(&format!("{problems:?}")))
}

#[expect(clippy::panic, reason = "a test compiles every folder, so this is a build that was not tested")]
fn untested(problem: &str) -> ! {
    panic!("a built-in connector cannot be used: {problem}")
}

/// The drawing that lies beside a curated connector.
pub fn icon(id: &str) -> Option<Cow<'static, str>> {
    FOLDERS.get_file(format!("{id}/icon.svg"))?.contents_utf8().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_compiles_and_is_what_its_head_says() {
        for (id, loaded) in BUILTIN.iter() {
            let definition = loaded.connector.definition();
            assert_eq!((&definition.id, &definition.name, &definition.categories), (id, &loaded.about.name, &loaded.about.categories));
            assert_eq!(definition.description, loaded.about.description);
        }
    }
}
