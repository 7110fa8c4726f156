//! Files in calls: those that arguments name, and those that platforms answer with.

use amalgam_connector::{CompiledAction, Connector, definition::BodyKind};
use amalgam_protocol::Pieces;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{StreamExt as _, stream};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Call, outcome};
use crate::{
    app::App,
    auth::Caller,
    clock::{random, rfc3339},
    egress::{Incoming, IncomingStream, Payload},
    error::{Error, Kind, Result},
    files::{self, Arriving, Writer},
    scrub::{MIN_SECRET, without_any},
    store::files::File,
};

/// Files that one call may send.
const MOST: usize = 10;

/// A file that an argument names. In its place stands a mark that nobody can guess, as if it were the content, so that the request is planned around it.
pub struct Attached {
    mark: [u8; 32],
    file: File,
}

/// Puts marks in the place of the files that arguments name: objects with the member `s3Key`, alone or in a list.
///
/// # Errors
/// There is no such file.
pub async fn attach(app: &App, caller: &Caller, action: &CompiledAction, arguments: &mut Map<String, Value>) -> Result<Vec<Attached>> {
    let mut attached = Vec::new();
    // Elsewhere `s3Key` is a name like others.
    if !matches!(action.action.body, Some(BodyKind::Multipart | BodyKind::Binary)) {
        return Ok(attached);
    }
    for (name, value) in arguments.iter_mut() {
        let places = match value {
            Value::Array(items) => items.iter_mut().collect(),
            value => vec![value],
        };
        for place in places {
            let Some(members) = place.as_object_mut().filter(|members| members.contains_key("s3Key")) else { continue };
            let key = members.shift_remove("s3Key").and_then(|key| key.as_str().map(str::to_owned)).unwrap_or_default();
            let file = Box::pin(app.store.file(&caller.scope, caller.server.as_deref(), &key)).await?.ok_or_else(|| {
                let sentence = format!("`{name}.s3Key` names no file of yours: `GET /connectors/files/list` has them, each for a day.");
                Error::invalid(name, sentence)
            })?;
            if attached.len() == MOST {
                return Err(Error::invalid(name, format!("A call sends at most {MOST} files.")));
            }
            let mark = random::<32>();
            members.insert("data".into(), STANDARD.encode(mark).into());
            if action.action.body == Some(BodyKind::Multipart) {
                members.entry("filename").or_insert_with(|| file.name.clone().into());
            }
            members.entry("contentType").or_insert_with(|| file.media_type.clone().into());
            attached.push(Attached { mark, file });
        }
    }
    Ok(attached)
}

/// The planned body with the files in the place of their marks.
///
/// # Errors
/// The platform takes no file there.
pub fn payload(app: &App, body: Pieces, attached: &[Attached]) -> Result<(Pieces, Option<Payload>)> {
    if attached.is_empty() {
        return Ok((body, None));
    }
    let mut rest = body.join();
    let mut length = 0_u64;
    let mut parts = Vec::with_capacity(2 * attached.len() + 1);
    // The body has them in the order of the definition.
    let found = attached.iter().map(|attached| Some((memchr::memmem::find(&rest, &attached.mark)?, attached)));
    let mut found = found.collect::<Option<Vec<_>>>().ok_or_else(|| {
        let sentence =
            "An `s3Key` stands where the platform takes no file, or has other members beside it than `filename` and `contentType`.";
        Error::new(Kind::InvalidRequest, sentence)
    })?;
    found.sort_unstable_by_key(|(at, _)| *at);
    let mut taken = 0;
    for (at, Attached { mark, file }) in found {
        let before = rest.split_to(at - taken);
        let _mark = rest.split_to(mark.len());
        taken = at + mark.len();
        length += u64::try_from(before.len()).map_err(Error::internal)? + u64::try_from(file.size).map_err(Error::internal)?;
        parts.push(stream::once(std::future::ready(Ok(before))).boxed());
        parts.push(files::read(app.store.clone(), file.clone()).boxed());
    }
    length += u64::try_from(rest.len()).map_err(Error::internal)?;
    parts.push(stream::once(std::future::ready(Ok(rest))).boxed());
    Ok((Pieces::default(), Some(Payload::Stream(stream::iter(parts).flatten().boxed(), length))))
}

/// Whether an answer is a file rather than something to read: a success whose type is neither JSON nor text.
pub fn is_file(status: StatusCode, headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let texts =
        ["application/xml", "application/javascript", "application/x-www-form-urlencoded", "application/x-ndjson", "application/yaml"];
    let is_text =
        outcome::is_json(&essence) || essence.starts_with("text/") || essence.ends_with("+xml") || texts.contains(&essence.as_str());
    status.is_success() && status != StatusCode::NO_CONTENT && !essence.is_empty() && !is_text
}

/// Keeps what a platform answers with as a file of the user, and describes it in JSON.
///
/// # Errors
/// It is too large, too late, or repeats the credential.
pub async fn keep(
    app: &App,
    call: &Call<'_>,
    connector: &Connector,
    stream: IncomingStream,
    secrets: &[String],
    until: Instant,
) -> Result<(Incoming, File)> {
    let kind = stream.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let name = files::name_of(&stream.headers).unwrap_or_else(|| files::safe_name(call.action_id));
    let (status, mut body) = (stream.status, stream.body);
    let length = stream.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let size = files::room(length)?;
    let origin = Some((call.connector_id.to_owned(), call.action_id.to_owned()));
    let file = File { size, origin, ..files::pending(&call.caller.scope, &name, kind) };
    app.store.create_file(&file).await?;
    let arriving = Arriving::new(app.store.clone(), file.clone());
    let receive = async {
        let mut writer = Writer::new(&app.store, file.clone());
        let mut watch = Watch::new(secrets);
        while let Some(piece) = body.chunk().await.map_err(outcome::not_reached)? {
            if watch.finds(&piece) {
                let name = &connector.definition().name;
                return Err(Error::new(
                    Kind::PlatformFailed,
                    format!("{name} answered with a file that repeats the credential; it is not kept."),
                ));
            }
            writer.write(&piece).await?;
        }
        writer.finish().await
    };
    let late = |_| Error::new(Kind::PlatformTimeout, "The file did not arrive in the time of the call: give it more `timeout`.");
    let received = tokio::time::timeout_at(until, receive).await.map_err(late).and_then(|kept| kept);
    let kept = arriving.end(received).await?;
    let described = json!({
        "status": status.as_u16(),
        "contentType": kept.media_type,
        "filename": kept.name,
        "size": kept.size,
        "s3Key": kept.id,
        "uri": files::uri(&kept),
        "url": format!("{}/connectors/files/{}", app.base_url, kept.id),
        "expiresAt": rfc3339(kept.expires_at),
    });
    let headers =
        [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")].map(|(name, value)| (name, HeaderValue::from_static(value)));
    let incoming = Incoming { status, headers: headers.into_iter().collect(), body: described.to_string().into() };
    Ok((incoming, kept))
}

/// Looks for secrets in what comes piece by piece.
struct Watch<'s> {
    secrets: Vec<&'s str>,
    /// The end of what came before, in which a secret may begin.
    tail: Vec<u8>,
}

impl<'s> Watch<'s> {
    fn new(secrets: &'s [String]) -> Self {
        Self { secrets: secrets.iter().map(String::as_str).filter(|secret| secret.len() >= MIN_SECRET).collect(), tail: Vec::new() }
    }

    fn finds(&mut self, piece: &[u8]) -> bool {
        /// A character as an escape of JSON that is quoted in JSON in JSON takes nine bytes.
        const WIDEST: usize = 12;
        let longest = self.secrets.iter().map(|secret| WIDEST * secret.len()).max().unwrap_or(1);
        let holds = |text: &[u8]| without_any(text, self.secrets.iter().copied()).is_some();
        let seam = [&self.tail[..], piece.get(..piece.len().min(longest)).unwrap_or_default()].concat();
        let found = holds(piece) || holds(&seam);
        let mut tail = std::mem::take(&mut self.tail);
        tail.extend_from_slice(piece.get(piece.len().saturating_sub(longest)..).unwrap_or_default());
        self.tail = tail.split_off(tail.len().saturating_sub(longest - 1));
        found
    }
}
