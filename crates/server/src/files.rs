//! What is in files, piece by piece in both directions: none is held in memory.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, header::CONTENT_DISPOSITION};
use md5::{Digest as _, Md5};

use crate::{
    clock::{now_ms, random_slug},
    error::{Error, Kind, Result},
    page::is_visible_char,
    store::{
        Scope, Store,
        files::{File, LIFETIME_MS, MAX_FILE, PENDING_MS},
    },
};

/// The largest piece, in bytes.
const PIECE: usize = 256 * 1024;
/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// A new id.
pub fn new_id() -> String {
    format!("file_{}", random_slug(32))
}

/// A file that is being written.
pub struct Writer<'a> {
    store: &'a Store,
    file: File,
    place: i64,
    size: usize,
    piece: Vec<u8>,
    digest: Md5,
}

impl<'a> Writer<'a> {
    /// Into a file that has nothing in it yet.
    pub fn new(store: &'a Store, file: File) -> Self {
        Self { store, file, place: 0, size: 0, piece: Vec::new(), digest: Md5::new() }
    }

    /// Takes in what has arrived.
    ///
    /// # Errors
    /// It becomes too large.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len();
        if self.size > MAX_FILE {
            return Err(Error::new(Kind::TooLarge, format!("The file is larger than {MAX_FILE} bytes.")));
        }
        self.digest.update(bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.store.add_piece(&self.file, self.place, &self.piece).await?;
        self.piece.clear();
        self.place += 1;
        Ok(())
    }

    /// The complete file.
    ///
    /// # Errors
    /// It is not the one that was announced.
    pub async fn finish(mut self) -> Result<File> {
        if !self.piece.is_empty() {
            self.flush().await?;
        }
        let md5 = amalgam_vault::hex(&self.digest.finalize());
        if self.file.md5.as_ref().is_some_and(|announced| *announced != md5) {
            return Err(Error::invalid(
                "md5",
                "What arrived is not what was announced: its MD5 is another one. Ask for another upload link.",
            ));
        }
        let file = File {
            md5: Some(md5),
            size: i64::try_from(self.size).map_err(Error::internal)?,
            is_complete: true,
            expires_at: self.file.created_at + LIFETIME_MS,
            ..self.file
        };
        if self.store.finish_file(&file).await? { Ok(file) } else { Err(Error::new(Kind::Conflict, "The file has been uploaded already.")) }
    }
}

/// What is in a file.
pub fn read(store: Arc<Store>, file: File) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((store, file, 0_i64, 0_i64), |(store, file, place, sent)| async move {
        if sent >= file.size {
            return Ok(None);
        }
        let piece = store.piece(&file, place).await.map_err(io::Error::other)?;
        // It can have been deleted meanwhile.
        let piece = piece.ok_or_else(|| io::Error::other("the file is gone"))?;
        let sent = sent + i64::try_from(piece.len()).map_err(io::Error::other)?;
        Ok(Some((Bytes::from(piece), (store, file, place + 1, sent))))
    })
}

/// All of a file that has at most so many bytes.
///
/// # Errors
/// It has more, or is gone.
pub async fn whole(store: &Store, file: &File, most: usize) -> Result<Vec<u8>> {
    let size = usize::try_from(file.size).map_err(Error::internal)?;
    if size > most {
        return Err(Error::new(Kind::TooLarge, format!("The file has {size} bytes, and is not read at once: get it by its address.")));
    }
    let mut bytes = Vec::with_capacity(size);
    let mut place = 0;
    while bytes.len() < size {
        bytes.extend_from_slice(&store.piece(file, place).await?.ok_or_else(|| Error::not_found("file"))?);
        place += 1;
    }
    Ok(bytes)
}

/// A name that is safe in a header and as a name of a file anywhere: without a path, control characters, or what shells and systems read.
pub fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = last.chars().filter(|c| is_visible_char(*c)).map(|c| if "\"<>:|?*%;".contains(c) { '_' } else { c });
    let safe: String = safe.take(MAX_NAME).collect();
    let safe = safe.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    if safe.is_empty() { "file".to_owned() } else { safe.to_owned() }
}

/// A media type without parameters; of anything odd the one that says nothing.
pub fn safe_type(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let is_type = essence.len() <= 100 && essence.split_once('/').is_some_and(|(kind, sub)| part(kind) && part(sub));
    if is_type { essence } else { "application/octet-stream".to_owned() }
}

/// The name that a platform gives its answer (RFC 6266).
pub fn name_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_DISPOSITION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())?;
    let parameter = |wanted: &str| {
        text.split(';').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let extended = parameter("filename*").and_then(|value| {
        let encoded = value.strip_prefix("UTF-8''").or_else(|| value.strip_prefix("utf-8''"))?;
        percent_encoding::percent_decode_str(encoded).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    });
    extended.or_else(|| parameter("filename")).map(|name| safe_name(&name)).filter(|name| name != "file")
}

/// How a file is shown to whoever it belongs to.
pub fn uri(file: &File) -> String {
    format!("{URI}{}", file.id)
}

/// What the address of a file as a resource begins with.
pub const URI: &str = "resource://files/";

/// A file for this user that is yet to arrive.
pub fn pending(scope: &Scope, name: &str, media_type: &str) -> File {
    let created_at = now_ms();
    File {
        id: new_id(),
        scope: scope.clone(),
        origin: None,
        name: safe_name(name),
        media_type: safe_type(media_type),
        md5: None,
        size: 0,
        is_complete: false,
        created_at,
        expires_at: created_at + PENDING_MS,
    }
}

/// The room that a body of this announced length takes while it arrives: without one, that of the largest.
///
/// # Errors
/// It is too large.
pub fn room(announced: Option<u64>) -> Result<i64> {
    let most = i64::try_from(MAX_FILE).map_err(Error::internal)?;
    match announced.map_or(Ok(most), i64::try_from) {
        Ok(size) if size <= most => Ok(size),
        _ => Err(Error::new(Kind::TooLarge, format!("The file is larger than {MAX_FILE} bytes."))),
    }
}

/// Removes a file that does not become complete, also where whoever receives it is dropped.
pub struct Arriving {
    store: Arc<Store>,
    file: Option<File>,
}

impl Arriving {
    /// From here on the file is removed unless it is kept.
    pub fn new(store: Arc<Store>, file: File) -> Self {
        Self { store, file: Some(file) }
    }

    /// What came of it: the complete file is kept, one that failed is removed first. Why it failed is said also where it cannot be removed;
    /// that is tried once more then.
    pub async fn end<T>(mut self, received: Result<T>) -> Result<T> {
        let is_settled = match (&received, &self.file) {
            (Err(_), Some(file)) => self.store.delete_file(file).await.is_ok(),
            _ => true,
        };
        if is_settled {
            self.file = None;
        }
        received
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let (Some(file), Ok(runtime)) = (self.file.take(), tokio::runtime::Handle::try_current()) else { return };
        let store = self.store.clone();
        runtime.spawn(async move {
            if let Err(error) = store.delete_file(&file).await {
                tracing::warn!(file = file.id, %error, "a file that did not arrive stays until its time is over");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types_are_made_safe() {
        for (name, safe) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\con.txt", "con.txt"),
            (".bashrc", "bashrc"),
            ("a\r\nb\"; x=1", "ab__ x=1"),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("a\u{61c}b\u{ad}c\u{34f}d\u{180e}e\u{3164}f\u{2028}g\u{e0041}.txt", "abcdefg.txt"),
            ("..", "file"),
            ("", "file"),
            ("ü 1.png", "ü 1.png"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        assert_eq!(safe_name(&"x".repeat(500)).len(), MAX_NAME);
        for (kind, safe) in [("Image/PNG; a=b", "image/png"), ("", "application/octet-stream"), ("a/b\r\nx: y", "application/octet-stream")]
        {
            assert_eq!(safe_type(kind), safe);
        }
        let of = |text: &'static str| name_of(&HeaderMap::from_iter([(CONTENT_DISPOSITION, http::HeaderValue::from_static(text))]));
        assert_eq!(of("attachment; filename=\"a/b.pdf\"").as_deref(), Some("b.pdf"));
        assert_eq!(of("attachment; filename=x; filename*=UTF-8''%C3%BC.pdf").as_deref(), Some("ü.pdf"));
        assert_eq!(of("inline"), None);
    }
}
