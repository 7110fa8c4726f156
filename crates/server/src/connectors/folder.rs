//! Connectors in a folder of the operator: `<folder>/<name>/connector.toml`. What changes there is used at once, without a restart; a definition
//! with a mistake leaves the last good one in place.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use amalgam_connector::{
    Connector,
    parse::{LONGEST, Problem, locate, parse_toml},
};
use arc_swap::ArcSwap;
use indexmap::IndexMap;

use super::Loaded;
use crate::{clock::now_ms, config::FIXED_WORDS};

/// What a definition is called.
pub const DEFINITION: &str = "connector.toml";
/// What its picture is called.
pub const ICON: &str = "icon.svg";
/// More folders than this are not looked into.
const MOST: usize = 1_000;
/// The largest picture, in bytes: it is part of every list.
const LARGEST_ICON: u64 = 64 * 1024;

/// The folder, and what was last found in it.
pub struct Folder {
    directory: Option<PathBuf>,
    state: ArcSwap<State>,
}

/// What is in the folder.
#[derive(Default)]
pub struct State {
    /// Those that can be used, by id.
    pub connectors: IndexMap<String, Arc<Loaded>>,
    /// Every definition, in the order of their names.
    pub entries: Vec<Entry>,
    /// Why the folder itself cannot be read: then what was loaded before stays.
    pub unreadable: Option<String>,
}

/// One definition of the folder.
#[derive(Clone)]
pub struct Entry {
    /// Its path inside the folder.
    pub file: String,
    /// The last good one.
    pub loaded: Option<Arc<Loaded>>,
    /// When that was loaded, in milliseconds.
    pub loaded_at: Option<i64>,
    /// What is wrong with what is there now.
    problems: Vec<Problem>,
    /// Why its id is not its own.
    taken: Option<Problem>,
    mark: [Mark; 2],
}

/// By this a file is known to have changed; nothing where there is no file.
type Mark = Option<(SystemTime, u64)>;

impl Entry {
    /// What is wrong with it.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().chain(&self.taken)
    }
}

impl Folder {
    /// Reads the folder, if there is one.
    ///
    /// # Errors
    /// A sentence where it is no folder: then nothing that it ever held can be meant.
    pub fn open(directory: Option<PathBuf>) -> Result<Self, String> {
        let folder = Self { directory, state: ArcSwap::default() };
        folder.scan();
        match (&folder.directory, &folder.state().unreadable) {
            (Some(directory), Some(reason)) => Err(format!("cannot read --connectors-dir {}: {reason}", directory.display())),
            _ => Ok(folder),
        }
    }

    /// Whether there is a folder at all.
    pub fn is_given(&self) -> bool {
        self.directory.is_some()
    }

    /// What was last found.
    pub fn state(&self) -> arc_swap::Guard<Arc<State>> {
        self.state.load()
    }

    /// The connector of that id.
    pub fn get(&self, id: &str) -> Option<Arc<Loaded>> {
        self.state().connectors.get(id).cloned()
    }

    /// Looks again; true where the connectors are others now. Reads what has changed, so not for a thread that serves requests.
    pub fn scan(&self) -> bool {
        let Some(directory) = &self.directory else { return false };
        let before = self.state.load_full();
        let files = match definitions(directory) {
            Ok(files) => files,
            Err(error) => {
                let reason = error.to_string();
                if before.unreadable.as_ref() != Some(&reason) {
                    tracing::error!(reason, "the folder of connectors cannot be read; what was loaded stays");
                    let (connectors, entries) = (before.connectors.clone(), before.entries.clone());
                    self.state.store(Arc::new(State { connectors, entries, unreadable: Some(reason) }));
                }
                return false;
            }
        };
        let mut entries: Vec<Entry> = files
            .iter()
            .map(|path| {
                let file = path.strip_prefix(directory).unwrap_or(path).display().to_string();
                look(path, file.clone(), before.entries.iter().find(|entry| entry.file == file))
            })
            .collect();
        let mut connectors: IndexMap<String, Arc<Loaded>> = IndexMap::with_capacity(entries.len());
        let mut owners: IndexMap<String, String> = IndexMap::new();
        for entry in &mut entries {
            entry.taken = None;
            let Some(loaded) = &entry.loaded else { continue };
            let id = loaded.id().to_owned();
            let reason = match owners.get(&id) {
                Some(owner) => Some(format!("The id \"{id}\" is taken by {owner}; give this connector another `id`.")),
                None if FIXED_WORDS.contains(&id.as_str()) => {
                    Some(format!("\"{id}\" is a fixed word in addresses; give the connector another `id`."))
                }
                None => None,
            };
            if reason.is_none() {
                owners.insert(id.clone(), entry.file.clone());
                connectors.insert(id, loaded.clone());
            }
            entry.taken = reason.map(|message| Problem { line: None, place: "id".to_owned(), message });
        }
        report(&before, &entries, &connectors);
        let versions = |connectors: &IndexMap<String, Arc<Loaded>>| connectors.values().map(|loaded| loaded.version).collect::<Vec<_>>();
        let changed = versions(&before.connectors) != versions(&connectors);
        self.state.store(Arc::new(State { connectors, entries, unreadable: None }));
        changed
    }
}

/// Says once what has changed.
fn report(before: &State, entries: &[Entry], connectors: &IndexMap<String, Arc<Loaded>>) {
    for entry in entries {
        let known = before.entries.iter().find(|known| known.file == entry.file);
        if known.is_none_or(|known| !known.problems().eq(entry.problems())) {
            for problem in entry.problems() {
                let kept = entry.loaded.is_some();
                tracing::error!(file = entry.file, line = problem.line, place = problem.place, kept, "{}", problem.message);
            }
        }
        let version = |entry: &Entry| entry.loaded.as_ref().map(|loaded| loaded.version);
        if let Some(loaded) = entry.loaded.as_ref().filter(|_| known.and_then(version) != version(entry)) {
            tracing::info!(file = entry.file, connector = loaded.id(), actions = loaded.connector.count(), "loaded a connector");
        }
    }
    for id in before.connectors.keys().filter(|id| !connectors.contains_key(*id)) {
        tracing::info!(connector = id, "a connector is gone from the folder");
    }
}

/// The definitions below a path: the file itself, that of the folder, or those of the folders in it, by name.
///
/// # Errors
/// The path cannot be read.
pub fn definitions(path: &Path) -> io::Result<Vec<PathBuf>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join(DEFINITION);
    if own.is_file() {
        return Ok(vec![own]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // Names with a dot belong to tools: `.git`, `..data` of Kubernetes.
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let file = entry.path().join(DEFINITION);
        if !hidden && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found)
}

/// Reads a definition.
///
/// # Errors
/// What is wrong, with lines where they are known.
pub fn read(path: &Path) -> Result<(String, Connector), Vec<Problem>> {
    let text = text(path, LONGEST as u64).map_err(|error| vec![problem(format!("The file cannot be read: {error}."))])?;
    let connector = parse_toml(&text).and_then(|definition| Connector::new(definition).map_err(|problems| locate(&text, problems)))?;
    Ok((text, connector))
}

fn problem(message: String) -> Problem {
    Problem { line: None, place: String::new(), message }
}

/// A text file of bounded length. Anything else than a file, such as a pipe, would never end.
fn text(path: &Path, longest: u64) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::other(format!("it is longer than {longest} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// The definition as it is now; as it was, where the file has not changed.
fn look(path: &Path, file: String, before: Option<&Entry>) -> Entry {
    let icon = path.with_file_name(ICON);
    let mark = [mark(path), mark(&icon)];
    if let Some(before) = before.filter(|before| before.mark == mark) {
        return before.clone();
    }
    match read(path) {
        Ok((_, connector)) => {
            let icon = text(&icon, LARGEST_ICON).ok().filter(|icon| icon.contains("<svg"));
            let loaded = Some(Arc::new(Loaded::of_folder(connector, icon)));
            Entry { file, loaded, loaded_at: Some(now_ms()), problems: Vec::new(), taken: None, mark }
        }
        Err(problems) => {
            let (loaded, loaded_at) = before.map_or((None, None), |before| (before.loaded.clone(), before.loaded_at));
            Entry { file, loaded, loaded_at, problems, taken: None, mark }
        }
    }
}

fn mark(path: &Path) -> Mark {
    let mark = |metadata: Metadata| Some((metadata.modified().ok()?, metadata.len()));
    fs::metadata(path).ok().and_then(mark)
}
