//! The files of the repository, read once. What `.gitignore` names is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A text file.
pub struct File {
    /// From the repository's folder, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// All files.
#[derive(Default)]
pub struct Tree {
    /// Those that are text, by path.
    pub files: Vec<File>,
    /// The path of each file and folder.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the repository.
    ///
    /// # Errors
    /// A folder or file that cannot be read, named.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.walk(root, "", &[".git".to_owned()])?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The text of a file, if it is there.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Text files with this ending.
    pub fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    fn walk(&mut self, root: &Path, folder: &str, ignored: &[String]) -> Result<(), String> {
        let here = root.join(folder);
        let mut ignored = ignored.to_vec();
        ignored.extend(fs::read_to_string(here.join(".gitignore")).unwrap_or_default().lines().map(str::to_owned));
        let entries = fs::read_dir(&here).map_err(|error| format!("cannot list {folder:?}: {error}"))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("cannot list {folder:?}: {error}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if ignored.iter().any(|pattern| matches(pattern, &name)) {
                continue;
            }
            // A link is left alone: what it points to is read at its own place, or is not ours.
            let kind = entry.file_type().map_err(|error| format!("cannot read {path}: {error}"))?;
            if kind.is_dir() {
                self.walk(root, &path, &ignored)?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).map_err(|error| format!("cannot read {path}: {error}"))?;
                if let Ok(text) = String::from_utf8(bytes) {
                    self.files.push(File { path: path.clone(), text });
                }
            }
            self.paths.insert(path);
        }
        Ok(())
    }
}

/// The part of the `.gitignore` language that we use: a name, or `*` and an ending; a `/` before or after it is not looked at.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim().trim_matches('/');
    match pattern.strip_prefix('*') {
        Some(ending) => !ending.is_empty() && name.ends_with(ending),
        None => pattern == name,
    }
}

#[cfg(test)]
impl Tree {
    /// A tree for the tests of rules.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.files.push(File { path: (*path).to_owned(), text: (*text).to_owned() });
            tree.paths.extend(path.match_indices('/').filter_map(|(end, _)| path.get(..end)).map(str::to_owned));
            tree.paths.insert((*path).to_owned());
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_of_gitignore() {
        assert!(matches("/target", "target") && matches("*.log", "a.log") && matches("node_modules", "node_modules"));
        assert!(!matches("/target", "targets") && !matches("*.log", "log") && !matches("", "a") && !matches("*", "a"));
    }
}
