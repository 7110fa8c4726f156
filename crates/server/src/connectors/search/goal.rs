//! A goal in plain words becomes weighted search words. It is free text from anyone: nothing in it is syntax.

use std::{collections::HashMap, iter, sync::LazyLock};

use amalgam_connector::definition::Effect;
use tantivy::tokenizer::TextAnalyzer;

use super::words;

/// What follows is ignored. In characters.
const LONGEST_GOAL: usize = 2_000;
/// Distinct words of a goal; one bit each in `rank::Matched`.
const MOST_WORDS: usize = 32;
/// Identifiers in a goal that are looked up as action ids.
const MOST_IDENTIFIERS: usize = 8;

/// What ids and names of actions say (`to`) where people say something else (`from`), and how much of a match that is.
struct Row {
    from: &'static [&'static str],
    to: &'static [&'static str],
    weight: f32,
}

const fn row(from: &'static [&'static str], to: &'static [&'static str], weight: f32) -> Row {
    Row { from, to, weight }
}

/// Verbs that every API has a word of its own for, the nouns that differ between platforms, and the commonest words of other languages,
/// without accents.
const SYNONYMS: &[Row] = &[
    row(&["send", "post", "write", "publish"], &["send", "post", "write", "publish"], 0.6),
    row(&["message", "tell", "notify", "say"], &["send", "post", "message"], 0.3),
    row(&["create", "add", "new", "make", "insert"], &["create", "add", "new", "insert"], 0.6),
    row(&["start", "open", "set"], &["create", "open"], 0.25),
    row(&["find", "search", "query", "lookup", "look"], &["find", "search", "query", "lookup"], 0.7),
    row(&["find", "search", "lookup", "look", "list"], &["get", "list"], 0.3),
    row(&["list", "get", "read", "show", "fetch", "see", "view", "retrieve", "browse"], &["get", "list", "read", "fetch", "retrieve"], 0.5),
    row(&["get", "show", "fetch", "see"], &["find", "search", "info"], 0.2),
    row(&["delete", "remove", "erase", "destroy", "discard"], &["delete", "remove", "destroy"], 0.7),
    row(&["delete", "remove"], &["archive", "trash", "leave"], 0.15),
    row(&["update", "edit", "change", "modify", "set", "adjust"], &["update", "edit", "change", "modify", "set", "patch"], 0.6),
    row(&["rename"], &["update", "name"], 0.25),
    row(&["kick", "ban", "expel"], &["kick", "remove"], 0.4),
    row(&["join", "enter"], &["join"], 0.8),
    row(&["channel", "room", "conversation"], &["channel", "room", "conversation"], 0.5),
    row(&["person", "people", "colleague", "member", "user"], &["user", "member", "people", "person"], 0.5),
    row(&["customer", "lead", "person", "people"], &["contact", "customer"], 0.4),
    row(&["company", "organisation", "organization", "business"], &["company", "organization"], 0.7),
    row(&["document", "page"], &["page", "document"], 0.4),
    row(&["attachment", "document", "picture", "image", "photo"], &["file", "media", "attachment"], 0.4),
    row(&["ticket", "issue", "case"], &["ticket", "issue"], 0.5),
    row(&["task", "todo"], &["task", "todo"], 0.6),
    row(&["comment", "reply"], &["comment", "reply"], 0.5),
    row(&["email", "mail"], &["email", "mail"], 0.8),
    row(&["emoji", "react", "reaction"], &["react", "reaction", "emoji"], 0.5),
    row(&["current", "own", "myself", "self"], &["self", "whoami"], 0.5),
    row(&["past", "recent", "latest", "last"], &["history", "message"], 0.2),
    row(&["remind", "reminder"], &["reminder", "add"], 0.5),
    row(&["file", "leave", "log", "begin", "prepare", "draw", "note", "record"], &["create", "add"], 0.4),
    row(&["put"], &["create", "add", "set"], 0.3),
    row(&["bill"], &["invoice"], 0.8),
    row(&["buyer", "client", "shopper", "patron"], &["customer", "contact"], 0.7),
    row(&["customer"], &["client"], 0.4),
    row(&["appointment", "agenda", "meeting"], &["event", "meeting", "calendar"], 0.6),
    row(&["directory", "folder"], &["folder", "directory"], 0.7),
    row(&["staff", "team", "colleague"], &["user", "member", "people"], 0.4),
    row(&["questionnaire", "survey", "poll"], &["form", "survey"], 0.7),
    row(&["answer", "reply"], &["response", "reply", "answer"], 0.6),
    row(&["dm", "text", "ping"], &["message", "send"], 0.6),
    row(&["chat", "group"], &["channel", "room", "chat", "group"], 0.4),
    row(&["membership"], &["subscription", "member"], 0.6),
    row(&["mailing", "newsletter"], &["campaign"], 0.7),
    row(&["reader"], &["subscriber", "audience"], 0.6),
    row(&["stock"], &["inventory"], 0.9),
    row(&["phone", "ring", "dial"], &["call"], 0.7),
    row(&["bring", "back", "recover", "undo", "undelete"], &["restore"], 0.6),
    row(&["pause", "hold", "freeze", "suspend"], &["suspend", "pause", "update"], 0.6),
    row(&["throw", "scrap", "drop", "trash", "bin"], &["delete", "remove", "ban"], 0.5),
    row(&["shut", "close"], &["archive", "close"], 0.5),
    row(&["blank", "empty", "wipe"], &["clear", "delete"], 0.7),
    row(&["title", "call"], &["name", "title"], 0.5),
    row(&["approve", "ok", "accept"], &["approve", "accept"], 0.8),
    row(&["hand", "assign", "move", "pass"], &["assign", "update", "move"], 0.5),
    row(&["cross", "tick", "check", "complete", "mark", "finish"], &["complete", "update", "edit"], 0.5),
    row(&["share", "grant", "give"], &["permission", "share", "create", "invite"], 0.4),
    row(&["turn", "switch"], &["update", "set", "setting"], 0.4),
    row(&["mr", "pr"], &["merge", "pull", "request"], 0.6),
    row(&["article", "guide"], &["article", "page"], 0.5),
    row(&["upload", "attach"], &["attachment", "upload", "file"], 0.6),
    row(&["worklog", "hours", "minutes"], &["time", "worklog"], 0.4),
    row(&["unsubscribe", "optout"], &["unsubscribe", "suppression"], 0.7),
    row(
        &[
            "crear",
            "creer",
            "cree",
            "criar",
            "crea",
            "creare",
            "erstelle",
            "erstellen",
            "anlegen",
            "lege",
            "maak",
            "aanmaken",
            "utworz",
            "stworz",
        ],
        &["create", "add"],
        0.8,
    ),
    row(
        &[
            "envia", "enviar", "envoie", "envoyer", "invia", "inviare", "manda", "sende", "senden", "schicke", "schick", "stuur",
            "verstuur", "wyslij",
        ],
        &["send", "post", "message"],
        0.8,
    ),
    row(
        &[
            "busca", "buscar", "cherche", "chercher", "trouve", "trouver", "cerca", "trova", "procura", "suche", "suchen", "finde", "zoek",
            "vind", "znajdz", "szukaj",
        ],
        &["search", "find", "get", "list"],
        0.7,
    ),
    row(
        &["lista", "listar", "liste", "muestra", "mostrar", "mostra", "montre", "affiche", "zeige", "zeig", "toon", "pokaz", "elenca"],
        &["list", "get"],
        0.7,
    ),
    row(
        &[
            "elimina",
            "eliminar",
            "borra",
            "borrar",
            "supprime",
            "supprimer",
            "cancella",
            "apaga",
            "exclua",
            "losche",
            "loesche",
            "loschen",
            "verwijder",
            "usun",
        ],
        &["delete", "remove"],
        0.8,
    ),
    row(
        &[
            "cambia",
            "cambiar",
            "actualiza",
            "actualizar",
            "modifie",
            "modifier",
            "change",
            "aggiorna",
            "modifica",
            "atualiza",
            "altera",
            "andere",
            "aendere",
            "andern",
            "wijzig",
            "zmien",
        ],
        &["update", "edit", "patch"],
        0.8,
    ),
    row(&["cancela", "cancelar", "annule", "annuler", "annulla", "storniere", "kundige", "annuleer", "anuluj"], &["cancel"], 0.9),
    row(&["comenta", "comentar", "commente", "commenter", "kommentiere", "kommentar", "commento"], &["comment"], 0.8),
    row(&["mensaje", "mensagem", "messaggio", "nachricht", "bericht", "wiadomosc", "wiadomosci"], &["message"], 0.9),
    row(&["cliente", "klant", "kunde", "kunden", "klient", "klienta"], &["customer", "contact", "client"], 0.8),
    row(&["factura", "facture", "fattura", "fatura", "rechnung", "factuur", "faktura", "fakture"], &["invoice"], 0.9),
    row(&["contacto", "contatto", "contato", "kontakt", "contactpersoon"], &["contact"], 0.9),
    row(&["tarea", "tache", "compito", "tarefa", "aufgabe", "taak", "zadanie"], &["task"], 0.9),
    row(&["archivo", "fichier", "arquivo", "datei", "bestand", "plik"], &["file"], 0.9),
    row(&["reunion", "riunione", "reuniao", "termin", "besprechung", "afspraak", "vergadering", "spotkanie"], &["event", "meeting"], 0.8),
    row(&["suscripcion", "abonnement", "abbonamento", "assinatura", "subskrypcja"], &["subscription"], 0.9),
    row(&["canal", "canale", "kanal", "kanaal", "kanalu"], &["channel"], 0.9),
    row(&["telefonnummer", "numero", "nummer"], &["phone", "number"], 0.5),
];

/// Verbs that tell what is to happen to the data. The first of them in a goal counts.
const INTENTS: &[(Effect, &[&str])] = &[
    (
        Effect::Read,
        &["find", "search", "query", "look", "lookup", "list", "get", "read", "show", "fetch", "see", "view", "retrieve", "browse"],
    ),
    (
        Effect::Write,
        &[
            "send", "post", "write", "publish", "create", "add", "make", "insert", "update", "edit", "change", "rename", "invite",
            "remind", "comment", "move", "put", "prepare", "tell", "log", "share", "mark", "set", "turn", "begin", "file", "pause",
            "assign", "draft", "give", "hand", "approve", "crear", "cree", "creer", "criar", "erstelle", "maak", "enviar", "envoie",
            "sende", "stuur", "comentar",
        ],
    ),
    (
        Effect::Destructive,
        &[
            "delete",
            "remove",
            "erase",
            "destroy",
            "kick",
            "ban",
            "archive",
            "throw",
            "scrap",
            "wipe",
            "clear",
            "cancel",
            "blank",
            "verwijder",
            "elimina",
        ],
    ),
];

/// Stop words that ask for something to be read.
const QUESTIONS: [&str; 3] = ["what", "which", "who"];

/// The tables, by stem.
static SYNONYMS_OF: LazyLock<HashMap<String, Vec<(String, f32)>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<(String, f32)>> = HashMap::new();
    for row in SYNONYMS {
        let to = stems(row.to);
        for from in stems(row.from) {
            let known = table.entry(from.clone()).or_default();
            for to in to.iter().filter(|to| **to != from) {
                if !known.iter().any(|(term, _)| term == to) {
                    known.push((to.clone(), row.weight));
                }
            }
        }
    }
    table
});
static INTENT_OF: LazyLock<HashMap<String, Effect>> =
    LazyLock::new(|| INTENTS.iter().flat_map(|(effect, verbs)| stems(verbs).into_iter().map(|verb| (verb, *effect))).collect());

/// What the verbs among these stems do to the data; `None` when there are none, or they disagree (`lists_create`).
pub(super) fn intent_of(stems: &[String]) -> Option<Effect> {
    let mut intents = stems.iter().filter_map(|stem| INTENT_OF.get(stem));
    let first = intents.next()?;
    intents.all(|intent| intent == first).then_some(*first)
}

fn stems(list: &[&str]) -> Vec<String> {
    let mut analyzer = ANALYZER.clone();
    list.iter().filter_map(|word| words::stem(&mut analyzer, word)).collect()
}

static ANALYZER: LazyLock<TextAnalyzer> = LazyLock::new(words::analyzer);

/// One word of a goal.
pub(super) struct Word {
    /// As typed, in lower case.
    pub typed: String,
    /// Its stem, at weight 1, then its synonyms' stems.
    pub terms: Vec<(String, f32)>,
}

/// A goal, understood.
pub(super) struct Goal {
    /// Distinct by stem, in the order typed; at most 32.
    pub words: Vec<Word>,
    /// What the first verb wants to happen to the data.
    pub intent: Option<Effect>,
    /// Folded texts of it that may be an action's id.
    pub identifiers: Vec<String>,
}

impl Goal {
    /// Reads a goal. `names` tells whether a stem names a connector: `HubSpot` that does is not also `hub` and `spot`.
    pub fn parse(text: &str, names: &dyn Fn(&str) -> bool) -> Self {
        let text = match text.char_indices().nth(LONGEST_GOAL) {
            Some((end, _)) => text.get(..end).unwrap_or_default(),
            None => text,
        };
        let mut goal = Self { words: Vec::new(), intent: None, identifiers: identifiers(text) };
        let mut analyzer = ANALYZER.clone();
        for run in words::runs(text) {
            let run = text.get(run).unwrap_or_default();
            let whole = words::stem(&mut analyzer, run);
            if !whole.as_deref().is_some_and(names) {
                for part in words::parts(run) {
                    let part = run.get(part).unwrap_or_default();
                    if part.len() < run.len() {
                        goal.push(part, words::stem(&mut analyzer, part));
                    }
                }
            }
            goal.push(run, whole);
        }
        goal.drop_repeated_synonyms();
        goal
    }

    fn push(&mut self, typed: &str, stem: Option<String>) {
        let Some(stem) = stem else {
            let asks = QUESTIONS.iter().any(|question| typed.eq_ignore_ascii_case(question));
            self.intent = self.intent.or(asks.then_some(Effect::Read));
            return;
        };
        if self.words.len() >= MOST_WORDS || self.words.iter().any(|word| word.terms.first().is_some_and(|term| term.0 == stem)) {
            return;
        }
        self.intent = self.intent.or_else(|| INTENT_OF.get(&stem).copied());
        let synonyms = SYNONYMS_OF.get(&stem).map(Vec::as_slice).unwrap_or_default();
        let terms = iter::once((stem, 1.0)).chain(synonyms.iter().cloned()).collect();
        self.words.push(Word { typed: typed.to_lowercase(), terms });
    }

    /// A word that stands in the goal itself is not also another's synonym: it would count twice.
    fn drop_repeated_synonyms(&mut self) {
        let stems: Vec<String> = self.words.iter().filter_map(|word| word.terms.first().map(|term| term.0.clone())).collect();
        for word in &mut self.words {
            let mut own = true;
            word.terms.retain(|(term, _)| std::mem::take(&mut own) || !stems.contains(term));
        }
    }
}

/// The goal as a whole, and every chunk of it that is written like an id (`users_list`, `slack/chat.postMessage`, `createPage`).
fn identifiers(text: &str) -> Vec<String> {
    let chunks = text.split(|c: char| c.is_whitespace() || c == '/').map(|chunk| chunk.trim_matches(|c: char| !c.is_alphanumeric()));
    let written_as_id = chunks.filter(|chunk| chunk.contains(['_', '.', '-']) || words::parts(chunk).nth(1).is_some());
    let mut found = vec![words::folded(text)];
    found.extend(written_as_id.map(words::folded).take(MOST_IDENTIFIERS));
    found.sort_unstable();
    found.dedup();
    found.retain(|id| !id.is_empty());
    found
}
