//! What the ranking weighs. Tuned with `tests/goals/tune.toml` and `more.toml`, never with `test.toml`.

/// The numbers of the ranking. A field's are what an occurrence weighs, how much the field's length counts against it, and its common length.
#[derive(Clone, Debug)]
pub struct Tuning {
    pub id: (f32, f32, f32),
    pub name: (f32, f32, f32),
    pub resource: (f32, f32, f32),
    pub keywords: (f32, f32, f32),
    pub synonyms: (f32, f32, f32),
    pub description: (f32, f32, f32),
    pub params: (f32, f32, f32),
    /// How fast repetition stops counting: BM25's usual value is 1.2.
    pub k1: f32,
    /// Of synonyms, over their own weights.
    pub synonym: f32,
    /// A word one slip away from a word of the goal.
    pub typo: f32,
    /// A word of a goal that has digits or is a part of an address.
    pub value: f32,
    /// A word in quotation marks or in a clause: what a message says, why something is wanted.
    pub particular: f32,
    /// People say what they want first: each further word counts this much less.
    pub fading: f32,
    /// For an action of the connector that the goal names in full, and of another that it names as well.
    pub named: f32,
    pub also_named: f32,
    /// For an action of a connector whose description or categories have a word of the goal.
    pub about: f32,
    /// An action that does what the goal's verb says; that does something else to the data; that takes something away unasked.
    pub intended: f32,
    pub unintended: f32,
    pub unasked: f32,
    /// An action that reads one thing where many are asked for, or the other way; one that writes otherwise than the verb says.
    pub other_read: f32,
    pub other_write: f32,
    /// For a connector of whose name the goal has a part, times the part.
    pub partly: f32,
    /// A word after the first preposition.
    pub aside: f32,
    /// A word that is only meant: `people` for `who`, `email` for an address.
    pub implied: f32,
    /// What a name of which the goal says nothing loses.
    pub uncovered: f32,
    /// What an action that needs many arguments loses, and one far back in its connector's list.
    pub required: f32,
    pub rank: f32,
    /// For words of the goal next to each other in the name.
    pub rare: f32,
}

/// What is in use.
pub const TUNING: Tuning = Tuning {
    id: (0.75, 0.5, 4.0),
    name: (2.25, 0.45, 3.0),
    resource: (0.6, 0.5, 1.0),
    keywords: (2.0, 0.2, 8.0),
    synonyms: (0.7, 0.1, 4.0),
    description: (0.4, 0.4, 25.0),
    params: (0.12, 0.7, 60.0),
    k1: 1.7,
    synonym: 0.4,
    typo: 0.5,
    value: 0.3,
    particular: 0.25,
    fading: 0.15,
    named: 5.0,
    also_named: 0.4,
    about: 0.5,
    intended: 1.2,
    unintended: 0.75,
    unasked: 0.6,
    other_read: 0.9,
    other_write: 1.05,
    partly: 0.7,
    aside: 0.8,
    implied: 0.9,
    uncovered: 0.15,
    required: 0.02,
    rank: 0.1,
    rare: 1.5,
};
