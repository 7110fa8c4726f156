//! The labelled goals over the built-in connectors. They were written before anything was tuned; whoever tunes reads `tune.toml` and
//! `more.toml` alone.

use serde::Deserialize;

use super::names;
use crate::connectors::{
    builtin::BUILTIN,
    search::{ActionIndex, search},
};

const TUNE: &str = include_str!("../../../../tests/goals/tune.toml");
const MORE: &str = include_str!("../../../../tests/goals/more.toml");
const TEST: &str = include_str!("../../../../tests/goals/test.toml");

#[derive(Deserialize)]
struct Goals {
    goal: Vec<Goal>,
}

#[derive(Deserialize)]
struct Goal {
    text: String,
    right: Vec<String>,
    kind: String,
}

/// How many are first, how many among the first five, of how many; and what was found instead, for those who tune.
fn judge(text: &str) -> (usize, usize, usize, String) {
    let goals: Goals = toml::from_str(text).unwrap();
    let indexes: Vec<&ActionIndex> = BUILTIN.values().map(|loaded| loaded.index()).collect();
    let (mut top, mut near, mut misses) = (0, 0, String::new());
    for goal in &goals.goal {
        for right in &goal.right {
            let (connector, action) = right.split_once('/').unwrap();
            assert!(BUILTIN[connector].connector.action(action).is_some(), "{right} does not exist");
        }
        let found = names(&search(&indexes, &goal.text, 5, &|_, _| true));
        let place = found.iter().position(|name| goal.right.contains(name));
        top += usize::from(place == Some(0));
        near += usize::from(place.is_some());
        if place != Some(0) {
            misses += &format!("[{}] {:?} wants {:?}, found {found:?}\n", goal.kind, goal.text, goal.right);
        }
    }
    (top, near, goals.goal.len(), misses)
}

#[test]
fn goals_find_their_action_among_all_platforms() {
    for (half, text) in [("tune", TUNE), ("more", MORE)] {
        let (top, near, of, misses) = judge(text);
        println!("{half}: {top} first, {near} in five, of {of}\n{misses}");
    }
    let (top, near, of, _) = judge(TEST);
    println!("test: {top} first, {near} in five, of {of}");
    assert!(top * 100 >= of * 70 && near * 100 >= of * 92, "test: {top} first, {near} in five, of {of}");
}

#[test]
fn indexes_are_small() {
    let actions: usize = BUILTIN.values().map(|loaded| loaded.index().actions.len()).sum();
    let bytes: usize = BUILTIN.values().map(|loaded| loaded.index().size()).sum();
    assert!(bytes < actions * 500, "{bytes} bytes for {actions} actions");
}
