//! One action against the operation of the vendor's document that it stands for.

use amalgam_connector::definition::{Action, BodyKind, Definition, Parameter as Param, Place as At, SecretPlace, Style};
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::documents::{Documents, Place};
use super::operations::{Body, Content, Operation, Parameter, plain, variables};
use super::report::Report;
use super::schema::{As, compare, is_text, members};

/// What differs. Where a document describes an operation several times, the description that comes closest counts.
pub fn check(operations: &[(&Documents, Operation<'_>)], definition: &Definition, action: &Action) -> Report {
    let reports = find(operations, definition, action).into_iter().map(|(documents, operation)| {
        let mut report = Report::default();
        let checked = Checked { documents, operation, definition, action };
        checked.parameters(&mut report);
        checked.missing(&mut report);
        checked.body(&mut report);
        report
    });
    reports.min_by_key(Report::count).unwrap_or_else(|| {
        let mut report = Report::default();
        let path = action.path.split('?').next().unwrap_or_default();
        report.add("operation: unknown".to_owned(), format!("no {} {path} in the documents", action.method.as_str()));
        report
    })
}

/// The operations of the same method and path; a fixed segment may stand for a variable where none has it fixed as well.
fn find<'o, 'd>(
    operations: &'o [(&'d Documents, Operation<'d>)],
    definition: &Definition,
    action: &Action,
) -> Vec<&'o (&'d Documents, Operation<'d>)> {
    let path = plain(action.path.split('?').next().unwrap_or_default());
    let full = format!("{}{path}", base_path(definition));
    let tries: [&dyn Fn(&Operation<'_>) -> bool; 3] =
        [&|operation| operation.full.contains(&full), &|operation| operation.path == path, &|operation| {
            operation.full.iter().any(|template| fills(&full, template))
        }];
    let of_method = || operations.iter().filter(|(_, operation)| operation.method == action.method.as_str());
    let found = tries.iter().map(|fits| of_method().filter(|(_, operation)| fits(operation)).collect::<Vec<_>>());
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

fn base_path(definition: &Definition) -> String {
    let rest = definition.base_url.split_once("://").map_or(definition.base_url.as_str(), |(_, rest)| rest);
    plain(rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default())
}

/// Whether a path is a template with some variables filled in.
fn fills(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len() && path.iter().zip(&template).all(|(own, other)| own == other || *other == "{}")
}

struct Checked<'c, 'd> {
    documents: &'d Documents,
    operation: &'c Operation<'d>,
    definition: &'c Definition,
    action: &'c Action,
}

impl<'d> Checked<'_, 'd> {
    fn parameters(&self, report: &mut Report) {
        let own = variables(&self.action.path);
        for (key, param) in &self.action.params {
            let wire = param.wire_name(key);
            let place = match param.place {
                At::Path => "path",
                At::Query => "query",
                At::Header => "header",
                At::Body => continue,
            };
            let at = format!("{place} {wire}");
            // The name of a variable is not sent; its place in the path is what counts.
            let wire = match param.place {
                At::Path => own.iter().position(|name| name == wire || name == key).and_then(|index| self.variable(index)),
                _ => Some(wire),
            };
            let Some(there) = wire.and_then(|wire| self.parameter(place, wire)) else {
                let elsewhere = ["query", "header"].iter().find(|other| wire.is_some_and(|wire| self.parameter(other, wire).is_some()));
                match elsewhere.filter(|_| param.place != At::Path) {
                    Some(other) => report.add(format!("{at}: place"), format!("a {other} parameter there")),
                    None => report.add(format!("{at}: unknown"), "not in the document".to_owned()),
                }
                continue;
            };
            if param.place != At::Path {
                self.required(report, &at, param, there.required);
            }
            self.types(report, &at, param, there);
        }
    }

    /// The document's name of the variable at this index of the action's path, counted over segments.
    fn variable(&self, index: usize) -> Option<&str> {
        let own = plain(self.action.path.split('?').next().unwrap_or_default());
        let segments: Vec<&str> = own.split('/').collect();
        let nth = |path: &str, segment: usize| path.split('/').take(segment).map(|part| part.matches("{}").count()).sum::<usize>();
        let (mut seen, mut segment) = (0, None);
        for (number, part) in segments.iter().enumerate() {
            let here = part.matches("{}").count();
            if index < seen + here {
                segment = Some((number, index - seen));
                break;
            }
            seen += here;
        }
        let (segment, within) = segment?;
        // The document's path may lack a prefix that its server has; segments are counted from the end.
        let there: Vec<&str> = self.operation.path.split('/').collect();
        let shift = there.len().checked_add(segment)?.checked_sub(segments.len())?;
        self.operation.variables.get(nth(&self.operation.path, shift) + within).map(String::as_str)
    }

    fn parameter(&self, place: &str, wire: &str) -> Option<&Parameter<'d>> {
        let same = |name: &str| if place == "header" { name.eq_ignore_ascii_case(wire) } else { bare(name) == bare(wire) };
        let plain = self.operation.parameters.iter().find(|there| there.place == place && same(there.name));
        // `page[size]` is a member of `page` where that is an object.
        plain.or_else(|| {
            let (outer, inner) = wire.split_once('[')?;
            let there = self.operation.parameters.iter().find(|there| there.place == place && there.name == outer)?;
            members(self.documents, there.schema).schemas.contains_key(inner.trim_end_matches(']')).then_some(there)
        })
    }

    fn required(&self, report: &mut Report, at: &str, param: &Param, there: bool) {
        let here = param.required || param.default.is_some();
        if there && !here {
            report.add(format!("{at}: required"), "only by the document".to_owned());
        } else if !there && param.must_be_given() {
            report.add(format!("{at}: strict"), "required only here".to_owned());
        }
    }

    fn types(&self, report: &mut Report, at: &str, param: &Param, there: &Parameter<'d>) {
        let schema = param.json_schema();
        let wire_is_member = at.contains('[') && !there.name.contains('[');
        if wire_is_member {
            return;
        }
        // JSON text is a text.
        if param.style == Some(Style::Json) && is_text(self.documents, there.schema) {
            return;
        }
        let joined = matches!(param.style, Some(Style::Comma | Style::Space | Style::Pipe));
        if there.repeated || joined {
            // A list here is one value after the other there, or one text of all.
            let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
            let inner = self.documents.follow(there.schema).and_then(|schema| schema.get("items"));
            match inner {
                Some(inner) => compare(self.documents, report, at, &items, &[inner], As::Text),
                None if joined && !there.repeated => {}
                None => compare(self.documents, report, at, &items, &[there.schema], As::Text),
            }
            return;
        }
        compare(self.documents, report, at, &schema, &[there.schema], As::Text);
    }

    /// What the document requires beside the body, and the action does not send.
    fn missing(&self, report: &mut Report) {
        for there in self.operation.parameters.iter().filter(|there| there.required && matches!(there.place, "query" | "header")) {
            let of_params = self.action.params.iter().any(|(key, param)| {
                let place = if there.place == "query" { At::Query } else { At::Header };
                let wire = param.wire_name(key);
                param.place == place
                    && (bare(wire) == bare(there.name)
                        || wire.eq_ignore_ascii_case(there.name)
                        || wire.starts_with(&format!("{}[", there.name)))
            });
            if !of_params && !self.is_sent_anyway(there) {
                report.add(format!("{} {}: missing", there.place, there.name), "the document requires it".to_owned());
            }
        }
    }

    /// Whether it is a fixed header, a part of a fixed query, the credential, or what the connection itself sends.
    fn is_sent_anyway(&self, there: &Parameter<'_>) -> bool {
        let name = there.name;
        let fixed = self.action.path.split_once('?').map_or("", |(_, query)| query);
        let is_fixed = |pair: &str| pair.split('=').next() == Some(name);
        let placed = self.definition.auth.iter().flat_map(|scheme| scheme.placements()).any(|sent| sent.name.eq_ignore_ascii_case(name));
        let header = there.place == "header";
        let own = ["authorization", "accept", "content-type", "content-length", "user-agent"];
        placed
            || (there.place == "query" && fixed.split('&').any(is_fixed))
            || (header && own.contains(&name.to_ascii_lowercase().as_str()))
            || (header && self.definition.headers.keys().any(|key| key.eq_ignore_ascii_case(name)))
            || (header && self.action.idempotency_header(self.definition).is_some_and(|key| key.eq_ignore_ascii_case(name)))
            // Slack declares the token among the parameters of every operation.
            || matches!(name, "token" | "access_token")
    }

    fn body(&self, report: &mut Report) {
        if self.action.graphql.is_some() {
            return;
        }
        let members = body_members(self.action);
        let params: Vec<(&str, &Param)> = members.iter().map(|(name, param)| (name.as_str(), param)).collect();
        let kind = self.action.body.unwrap_or(BodyKind::Json);
        let Some(body) = self.operation.bodies.iter().find(|body| carries(&body.media, kind)) else {
            return self.other_body(report, &params);
        };
        let written = if kind == BodyKind::Json { As::Json } else { As::Text };
        if let [(_, param)] = params.as_slice()
            && (param.whole || matches!(kind, BodyKind::Text | BodyKind::Binary))
        {
            if let (Content::Schema(schema), BodyKind::Json) = (&body.content, kind) {
                compare(self.documents, report, "body", &param.json_schema(), &[*schema], written);
            }
            return;
        }
        match &body.content {
            Content::Schema(schema) => self.members(report, &params, *schema, written, body),
            Content::Fields(fields) => self.fields(report, &params, fields, written),
        }
    }

    /// The document knows no such body.
    fn other_body(&self, report: &mut Report, params: &[(&str, &Param)]) {
        let Some(first) = self.operation.bodies.first() else {
            for (wire, _) in params {
                report.add(format!("body {wire}: unknown"), "the document has no body".to_owned());
            }
            return;
        };
        if !params.is_empty() {
            let medias: Vec<&str> = self.operation.bodies.iter().map(|body| body.media.as_str()).collect();
            report.add("body: kind".to_owned(), format!("the document has {}", medias.join(", ")));
        } else if first.required {
            report.add("body: missing".to_owned(), "the document requires a body".to_owned());
        }
    }

    fn members(&self, report: &mut Report, params: &[(&str, &Param)], schema: Place<'d>, written: As, body: &Body<'d>) {
        let there = members(self.documents, schema);
        for (wire, param) in params {
            let at = format!("body {wire}");
            match there.schemas.get(bare(wire)).or_else(|| there.schemas.get(wire)) {
                Some(schemas) => {
                    self.required(report, &at, param, there.required.contains(bare(wire)) || there.required.contains(wire));
                    compare(self.documents, report, &at, &param.json_schema(), schemas, written);
                }
                None if there.open || there.vague => {}
                None => report.add(format!("{at}: unknown"), "not in the document".to_owned()),
            }
        }
        if params.is_empty() && !body.required {
            return;
        }
        for name in there.required.iter().filter(|name| !params.iter().any(|(wire, _)| bare(wire) == **name) && !self.is_secret(name)) {
            report.add(format!("body {name}: missing"), "the document requires it".to_owned());
        }
    }

    fn fields(
        &self,
        report: &mut Report,
        params: &[(&str, &Param)],
        fields: &std::collections::BTreeMap<&'d str, Parameter<'d>>,
        written: As,
    ) {
        for (wire, param) in params {
            let at = format!("body {wire}");
            match fields.get(wire) {
                Some(field) => {
                    self.required(report, &at, param, field.required);
                    // In JSON, what a form has as the text of a list or an object is the list or the object itself.
                    let structured =
                        written == As::Json && matches!(param.json_schema().get("type").and_then(Value::as_str), Some("array" | "object"));
                    if !structured {
                        compare(self.documents, report, &at, &param.json_schema(), &[field.schema], As::Text);
                    }
                }
                None => report.add(format!("{at}: unknown"), "not in the document".to_owned()),
            }
        }
        for (name, field) in fields.iter().filter(|(name, field)| field.required && !params.iter().any(|(wire, _)| wire == *name)) {
            if !self.is_secret(name) && !self.is_sent_anyway(field) {
                report.add(format!("body {name}: missing"), "the document requires it".to_owned());
            }
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        let mut placements = self.definition.auth.iter().flat_map(|scheme| scheme.placements());
        placements.any(|sent| sent.place == SecretPlace::Body && sent.name == name)
    }
}

/// The members of the body: what parameters point at further below, taken together as the objects that are sent.
fn body_members(action: &Action) -> BTreeMap<String, Param> {
    let mut members = BTreeMap::new();
    for (key, param) in action.params.iter().filter(|(_, param)| param.place == At::Body) {
        let path = action.body_path(key, param);
        let Some((first, rest)) = path.split_first() else { continue };
        let needed = param.required || param.default.is_some();
        if rest.is_empty() {
            members.insert(first.to_string(), param.clone());
            continue;
        }
        let object: &mut Param = members.entry(first.to_string()).or_insert_with(|| Param {
            required: false,
            default: None,
            kind: None,
            schema: Some(json!({ "type": "object", "properties": {} })),
            ..param.clone()
        });
        object.required |= needed;
        let Some(mut at) = object.schema.as_mut() else { continue };
        for (number, name) in rest.iter().enumerate() {
            if needed {
                let required = at["required"].take();
                let mut required = required.as_array().cloned().unwrap_or_default();
                required.push(name.as_ref().into());
                at["required"] = required.into();
            }
            let properties = &mut at["properties"];
            if number + 1 == rest.len() {
                properties[name.as_ref()] = param.json_schema();
            } else if properties.get(name.as_ref()).is_none() {
                properties[name.as_ref()] = json!({ "type": "object", "properties": {} });
            }
            at = &mut properties[name.as_ref()];
        }
    }
    members
}

/// A name without the mark of a list: `expand[]`.
fn bare(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

/// Whether a body of this media type can be sent as this kind.
fn carries(media: &str, kind: BodyKind) -> bool {
    match kind {
        BodyKind::Json => media.contains("json") || media == "*/*",
        BodyKind::Form => media == "application/x-www-form-urlencoded",
        BodyKind::Multipart => media == "multipart/form-data",
        BodyKind::Text => media.starts_with("text/"),
        BodyKind::Binary => !media.contains("json") && media != "application/x-www-form-urlencoded",
    }
}
