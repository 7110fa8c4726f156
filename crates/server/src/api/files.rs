//! Files of the effective user: uploaded for actions, or answered by platforms. Source: Alloy's API.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    response::Response,
    routing::put,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::StreamExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::Removed;
use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    error::{Error, Kind, Result},
    files::{self, Arriving, Writer},
    request::{Counted, Json, Path, Twin, require_identity},
    store::files::{File, PENDING_MS},
};

/// An upload must have arrived within this time, and none of its pieces may take longer than the other.
const UPLOAD_TIME: Duration = Duration::from_secs(10 * 60);
const PIECE_TIME: Duration = Duration::from_secs(30);
/// What upload links are sealed for.
const LINK: &str = "file-upload";
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(request)).routes(routes!(list)).routes(routes!(download, delete))
}

/// By its link, without an identity, and so no operation of the document: what is written with it is in the audit trail where the link was
/// asked for.
pub fn by_link() -> OpenApiRouter<App> {
    OpenApiRouter::new().route("/connectors/files/upload/{link}", put(upload))
}

/// What will be uploaded.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadBody {
    /// Without a path.
    #[schema(min_length = 1)]
    filename: String,
    /// `image/png`; absent = bytes of any kind.
    mime_type: Option<String>,
    /// MD5 of the content, in hex or base64: what arrives is held against it.
    md5: Option<String>,
}

/// Where to upload it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadView {
    presigned_url: PresignedUrl,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PresignedUrl {
    /// As it was sent.
    md5: Option<String>,
    /// PUT the content here, once, within an hour; null where nothing need be uploaded.
    presigned_url: Option<String>,
    /// `existing`: the same file is there already.
    r#type: &'static str,
    /// Names the file in actions and here.
    s3_key: String,
}

/// A file.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileView {
    s3_key: String,
    filename: String,
    mime_type: String,
    /// In bytes.
    size: i64,
    /// RFC 3339.
    last_modified: String,
    /// RFC 3339.
    expires_at: String,
}

impl From<File> for FileView {
    fn from(file: File) -> Self {
        Self {
            last_modified: rfc3339(file.created_at),
            expires_at: rfc3339(file.expires_at),
            s3_key: file.id,
            filename: file.name,
            mime_type: file.media_type,
            size: file.size,
        }
    }
}

/// Files.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FileList {
    files: Vec<FileView>,
}

/// Ask for an address to upload a file to. `s3Key` then stands for the file in the arguments of actions.
#[utoipa::path(post, path = "/connectors/files/upload/request", tag = "Connectors", operation_id = "request-file-upload", request_body = UploadBody,
    responses((status = 200, description = "Where to upload it", body = UploadView), (status = 400, description = "Invalid payload"),
        (status = 401, description = "Not authenticated"), (status = 409, description = "No room for another file")))]
async fn request(
    State(app): State<App>,
    Counted { twin, .. }: Counted,
    Json(body, ..): Json<UploadBody>,
) -> Result<axum::Json<UploadView>> {
    if body.filename.trim().is_empty() {
        return Err(Error::invalid("filename", "`filename` must not be empty."));
    }
    let scope = &twin.caller.scope;
    let md5 = body.md5.as_deref().map(|md5| digest(md5).ok_or_else(|| Error::invalid("md5", "`md5` must be 16 bytes in hex or base64.")));
    let md5 = md5.transpose()?;
    let (name, kind) = (files::safe_name(&body.filename), files::safe_type(body.mime_type.as_deref().unwrap_or_default()));
    if md5.is_some() {
        // One that is about to go is of no use.
        let lasts = now_ms() + PENDING_MS;
        let same = |file: &File| file.md5 == md5 && file.name == name && file.media_type == kind && file.expires_at > lasts;
        if let Some(file) = app.store.files(scope, twin.caller.server.as_deref()).await?.into_iter().find(same) {
            let presigned_url = PresignedUrl { md5: body.md5, presigned_url: None, r#type: "existing", s3_key: file.id };
            return Ok(axum::Json(UploadView { presigned_url }));
        }
    }
    let file = File { md5, ..files::pending(scope, &name, &kind) };
    app.store.create_file(&file).await?;
    let link = app.store.sealer().seal_id(LINK, file.id.as_bytes())?;
    let url = format!("{}/connectors/files/upload/{link}", app.base_url);
    let presigned_url = PresignedUrl { md5: body.md5, presigned_url: Some(url), r#type: "new", s3_key: file.id };
    Ok(axum::Json(UploadView { presigned_url }))
}

/// An MD5 in hex, from hex or base64.
fn digest(text: &str) -> Option<String> {
    let mut bytes = [0_u8; 16];
    if amalgam_vault::read_hex(&text.to_ascii_lowercase(), &mut bytes).is_none() {
        bytes = STANDARD.decode(text).ok()?.try_into().ok()?;
    }
    Some(amalgam_vault::hex(&bytes))
}

/// Uploads a file to the address that was asked for: at most 100 MB, once.
async fn upload(State(app): State<App>, Path(link): Path<String>, request: Request) -> Result<axum::Json<FileView>> {
    let (parts, body) = request.into_parts();
    require_identity(&parts.headers)?;
    let id = app.store.sealer().open_id(LINK, &link).and_then(|id| String::from_utf8(id).ok());
    let file = match id {
        Some(id) => app.store.file_by_id(&id).await?,
        None => None,
    };
    let Some(mut file) = file else { return Err(Error::not_found("upload link")) };
    if let Some(announced) = parts.headers.get(CONTENT_MD5) {
        let announced = announced.to_str().ok().and_then(digest);
        let wrong = || Error::invalid("Content-MD5", "`Content-MD5` must be 16 bytes in base64, and the `md5` that was announced.");
        let announced = announced.filter(|md5| file.md5.as_ref().is_none_or(|known| known == md5)).ok_or_else(wrong)?;
        file.md5 = Some(announced);
    }
    if !app.store.begin_file(&file, files::room(body.size_hint().exact())?).await? {
        return Err(Error::new(Kind::Conflict, "This upload link has been used: ask for another one."));
    }
    let arriving = Arriving::new(app.store.clone(), file.clone());
    let file = arriving.end(receive(&app, file, body).await).await?;
    Ok(axum::Json(file.into()))
}

async fn receive(app: &App, file: File, body: Body) -> Result<File> {
    let late = |_| Error::new(Kind::InvalidRequest, "The file did not arrive in time: 30 seconds for each piece, 10 minutes for all.");
    let until = Instant::now() + UPLOAD_TIME;
    let mut writer = Writer::new(&app.store, file);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = tokio::time::timeout_at(until.min(Instant::now() + PIECE_TIME), pieces.next()).await.map_err(late)? {
        let piece = piece.map_err(|_| Error::new(Kind::InvalidRequest, "The file could not be read to its end."))?;
        writer.write(&piece).await?;
    }
    writer.finish().await
}

/// List your files, newest first.
#[utoipa::path(get, path = "/connectors/files/list", tag = "Connectors", operation_id = "list-files",
    responses((status = 200, description = "Files", body = FileList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, twin: Twin) -> Result<axum::Json<FileList>> {
    let files = app.store.files(&twin.caller.scope, twin.caller.server.as_deref()).await?;
    Ok(axum::Json(FileList { files: files.into_iter().map(FileView::from).collect() }))
}

/// Get a file.
#[utoipa::path(get, path = "/connectors/files/{s3Key}", tag = "Connectors", operation_id = "get-file",
    params(("s3Key" = String, Path, description = "Names the file")),
    responses((status = 200, description = "What is in it", content_type = "application/octet-stream"), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such file")))]
async fn download(State(app): State<App>, Counted { twin, .. }: Counted, Path(id): Path<String>) -> Result<Response> {
    let file = app.store.file(&twin.caller.scope, twin.caller.server.as_deref(), &id).await?.ok_or_else(|| Error::not_found("file"))?;
    let headers = headers(&file)?;
    let mut response = Response::new(Body::from_stream(files::read(app.store.clone(), file)));
    *response.headers_mut() = headers;
    Ok(response)
}

/// Never a page of ours: a browser saves it under its name and runs nothing of it.
fn headers(file: &File) -> Result<HeaderMap> {
    let plain: String = file.name.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(&file.name, NON_ALPHANUMERIC));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::try_from(&file.media_type).map_err(Error::internal)?);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(file.size));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(Error::internal)?);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok(headers)
}

/// Delete a file.
#[utoipa::path(delete, path = "/connectors/files/{s3Key}", tag = "Connectors", operation_id = "delete-file",
    params(("s3Key" = String, Path, description = "Names the file")),
    responses((status = 200, description = "Deleted", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such file")))]
async fn delete(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    let file = app.store.file(&twin.caller.scope, twin.caller.server.as_deref(), &id).await?.ok_or_else(|| Error::not_found("file"))?;
    if app.store.delete_file(&file).await? { Ok(Removed::answer("File deleted", id)) } else { Err(Error::not_found("file")) }
}
