//! The index of one connector's actions: immutable, in memory, built once.

use std::sync::Arc;

use amalgam_connector::definition::{Action, Definition, Effect, Method};
use tantivy::{
    Index, InvertedIndexReader, SegmentReader, TantivyDocument, TantivyError,
    directory::RamDirectory,
    fieldnorm::FieldNormReader,
    schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{RawTokenizer, TextAnalyzer, TokenizerManager},
};

use super::{goal, words};

/// What of an action is searched, in the order of [`FIELDS`].
pub(super) const FIELDS: [&str; 4] = ["id", "name", "description", "params"];
/// How many of [`FIELDS`], from the first, are short and chosen by a person to say what the action is.
pub(super) const TITLES: usize = 2;

/// From this tantivy chooses how large its tables begin; they grow past it. In bytes.
const BUILD_MEMORY: usize = 4_000_000;
/// Texts are cut here, so that an imported document cannot make one action as expensive as a thousand. In bytes.
const LONGEST_TEXT: usize = 4_000;
/// Parameters of an action that are searched.
const MOST_PARAMS: usize = 64;
/// How much of a parameter's name and description, and of a connector's name, is read. In bytes.
const LONGEST_SHORT: usize = 300;

/// The actions of one connector, searchable with [`super::search`].
pub struct ActionIndex {
    /// The connector's id.
    pub(super) connector: String,
    /// The stems of its id and of its name: either, said in full, names the connector.
    pub(super) names: [Vec<String>; 2],
    /// Stems of its categories and description, sorted.
    pub(super) about: Vec<String>,
    /// By document: id and effect, sorted by id so that the order of documents is the order of ids.
    pub(super) actions: Vec<(Box<str>, Effect)>,
    /// By [`FIELDS`].
    pub(super) fields: [IndexedField; 4],
    /// Folded ids.
    pub(super) exact: Arc<InvertedIndexReader>,
}

/// One field of the index.
pub(super) struct IndexedField {
    pub terms: Arc<InvertedIndexReader>,
    pub lengths: FieldNormReader,
}

impl ActionIndex {
    /// Indexes the actions of a definition. Takes about 0.05 ms of one core per action and, while it runs, some 12 MB; it starts no
    /// thread, and what is kept is 200 to 400 bytes per action.
    ///
    /// # Errors
    /// When tantivy cannot write to memory, which nothing in a definition causes.
    pub fn build(definition: &Definition) -> Result<Self, TantivyError> {
        let mut actions: Vec<(&String, &Action)> = definition.actions.iter().collect();
        actions.sort_unstable_by_key(|(id, _)| *id);

        let mut schema = Schema::builder();
        let fields = FIELDS.map(|name| schema.add_text_field(name, indexed("words")));
        let exact = schema.add_text_field("exact", indexed("raw"));
        let tokenizers = TokenizerManager::new();
        tokenizers.register("words", words::analyzer());
        tokenizers.register("raw", RawTokenizer::default());
        let mut writer = Index::builder()
            .schema(schema.build())
            .tokenizers(tokenizers)
            .single_segment_index_writer::<TantivyDocument>(RamDirectory::create(), BUILD_MEMORY)?;
        for (id, action) in &actions {
            let mut document = TantivyDocument::new();
            for (field, text) in fields.iter().zip(texts(id, action)) {
                document.add_text(*field, text);
            }
            document.add_text(exact, words::folded(id));
            writer.add_document(document)?;
        }
        let index = writer.finalize()?;
        let segment =
            index.searchable_segments()?.into_iter().next().ok_or_else(|| TantivyError::InternalError("no segment was written".into()))?;
        let reader = SegmentReader::open(&segment)?;
        let open = |field: Field| {
            Ok::<_, TantivyError>(IndexedField { terms: reader.inverted_index(field)?, lengths: reader.get_fieldnorms_reader(field)? })
        };
        let [id, name, description, params] = fields;
        let mut analyzer = words::analyzer();
        let mut about = stems(&mut analyzer, cut(&definition.categories.join(" "), LONGEST_TEXT));
        about.extend(stems(&mut analyzer, cut(&definition.description, LONGEST_TEXT)));
        about.sort_unstable();
        about.dedup();
        Ok(Self {
            connector: definition.id.clone(),
            names: [
                name_of(&mut analyzer, cut(&definition.id, LONGEST_SHORT)),
                name_of(&mut analyzer, cut(&definition.name, LONGEST_SHORT)),
            ],
            about,
            actions: actions.iter().map(|(id, action)| (id.as_str().into(), effect(&mut analyzer, id, action))).collect(),
            fields: [open(id)?, open(name)?, open(description)?, open(params)?],
            exact: reader.inverted_index(exact)?,
        })
    }
}

fn indexed(tokenizer: &str) -> TextOptions {
    TextOptions::default()
        .set_indexing_options(TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(IndexRecordOption::WithFreqs))
}

/// The texts of an action, by [`FIELDS`].
fn texts(id: &str, action: &Action) -> [String; 4] {
    let mut params = String::new();
    for (name, param) in action.params.iter().take(MOST_PARAMS) {
        params.extend([cut(name, LONGEST_SHORT), " ", cut(&param.description, LONGEST_SHORT), "\n"]);
    }
    let name = format!("{}\n{}", cut(&action.name, LONGEST_TEXT), cut(&action.resource, LONGEST_TEXT));
    [cut(id, LONGEST_TEXT).to_owned(), name, cut(&action.description, LONGEST_TEXT).to_owned(), params]
}

/// What an action does to the data. Where nobody declared it, its id knows better than POST: `contacts_search` reads.
fn effect(analyzer: &mut TextAnalyzer, id: &str, action: &Action) -> Effect {
    let told = match action.method {
        Method::Post | Method::Put | Method::Patch if action.effect.is_none() => goal::intent_of(&stems(analyzer, cut(id, LONGEST_TEXT))),
        _ => None,
    };
    told.unwrap_or_else(|| action.effect())
}

/// The first `most` bytes, less what would break a character.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// The stems that name a connector. `HubSpot` is one; in `Monday.com` only the first counts.
fn name_of(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let runs: Vec<&str> = words::runs(text).filter_map(|run| text.get(run)).collect();
    let told: Vec<&str> =
        runs.iter().copied().filter(|run| !["com", "io", "app", "api"].contains(&run.to_ascii_lowercase().as_str())).collect();
    let chosen = if told.is_empty() { runs } else { told };
    let mut name: Vec<String> = chosen.iter().filter_map(|run| words::stem(analyzer, run)).collect();
    name.sort_unstable();
    name.dedup();
    name
}

fn stems(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stems = Vec::new();
    analyzer.token_stream(text).process(&mut |token| stems.push(token.text.clone()));
    stems
}
