//! What the ranking promises, over four small platforms.

mod curated;
mod goals;
mod platforms;

use self::{
    goals::GOALS,
    platforms::{four, platform},
};
use super::{ActionIndex, Hit, search};

fn indexes() -> Vec<ActionIndex> {
    four().iter().map(ActionIndex::build).collect()
}

fn find(indexes: &[ActionIndex], goal: &str, limit: usize) -> Vec<Hit> {
    search(&indexes.iter().collect::<Vec<_>>(), goal, limit, &|_, _| true)
}

fn names(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| format!("{}/{}", hit.connector, hit.action)).collect()
}

fn first(indexes: &[ActionIndex], goal: &str) -> String {
    names(&find(indexes, goal, 1)).pop().unwrap_or_default()
}

#[test]
fn labelled_goals_find_their_action() {
    let indexes = indexes();
    let mut top = 0;
    let mut near = 0;
    let mut misses = String::new();
    for (goal, wanted) in GOALS {
        let found = names(&find(&indexes, goal, 5));
        let place = found.iter().position(|name| wanted.contains(&name.as_str()));
        top += usize::from(place == Some(0));
        near += usize::from(place.is_some());
        if place != Some(0) {
            misses += &format!("{goal:?} wants {wanted:?}, found {found:?}\n");
        }
    }
    println!("{top} first, {near} in five, of {}\n{misses}", GOALS.len());
    assert!(top * 100 >= GOALS.len() * 90 && near * 100 >= GOALS.len() * 98, "{top} first, {near} in five, of {}\n{misses}", GOALS.len());
}

#[test]
fn an_id_is_found_however_it_is_written() {
    let indexes = indexes();
    for goal in
        ["chat_postMessage", "chat.postMessage", "chat_post_message", "CHAT.POSTMESSAGE", "slack/chat_postMessage", "chat post message"]
    {
        assert_eq!(first(&indexes, goal), "slack/chat_postMessage", "{goal}");
    }
    assert_eq!(first(&indexes, "call users_lookupByEmail to delete a contact"), "slack/users_lookupByEmail");
    for definition in four() {
        for id in definition.actions.keys() {
            let found = names(&find(&indexes, id, 2));
            assert!(found.contains(&format!("{}/{id}", definition.id)), "{id}: {found:?}");
        }
    }
}

#[test]
fn the_named_platform_is_favoured() {
    let indexes = indexes();
    for (name, id) in [("Slack", "slack"), ("notion", "notion"), ("HubSpot", "hubspot"), ("hubspot", "hubspot"), ("MATRIX", "matrix")] {
        for goal in [name.to_owned(), format!("list the users in {name}"), format!("{name}: search"), format!("create something in {name}")]
        {
            let found = find(&indexes, &goal, 3);
            assert!(found.len() == 3 && found.iter().all(|hit| hit.connector == id), "{goal}: {:?}", names(&found));
        }
    }
}

#[test]
fn the_words_that_matched_are_named_as_typed() {
    let hit = find(&indexes(), "Please SEND mesages to the Slack channel, quokka!", 1).remove(0);
    assert_eq!((hit.connector.as_str(), hit.action.as_str()), ("slack", "chat_postMessage"));
    assert_eq!(hit.matched, ["send", "mesages", "slack", "channel"]);
}

#[test]
fn the_order_is_the_same_every_time() {
    let indexes = indexes();
    let forward: Vec<&ActionIndex> = indexes.iter().collect();
    let backward: Vec<&ActionIndex> = indexes.iter().rev().collect();
    for (goal, _) in GOALS {
        let found = search(&forward, goal, 50, &|_, _| true);
        assert_eq!(found, search(&backward, goal, 50, &|_, _| true), "{goal}");
        let key = |hit: &Hit| (std::cmp::Reverse(hit.score.to_bits()), hit.connector.clone(), hit.action.clone());
        assert!(found.is_sorted_by_key(key), "{goal}: {found:?}");
    }
}

#[test]
fn actions_that_are_not_allowed_do_not_shrink_the_result() {
    let indexes = indexes();
    let set: Vec<&ActionIndex> = indexes.iter().collect();
    for limit in [1, 3, 6] {
        let all = search(&set, "message", 100, &|_, _| true);
        let denied: Vec<String> = names(&all[..10]);
        let allowed = |connector: &str, action: &str| !denied.contains(&format!("{connector}/{action}"));
        let found = search(&set, "message", limit, &allowed);
        assert_eq!(found, all[10..10 + limit]);
    }
    assert!(search(&set, "message", 5, &|_, _| false).is_empty());
    assert!(find(&indexes, "message", 0).is_empty());
}

#[test]
fn connectors_outside_of_the_set_do_not_weigh() {
    let ours = indexes();
    let alone: Vec<Vec<Hit>> = GOALS.iter().map(|(goal, _)| find(&ours, goal, 20)).collect();
    let line = |n: usize| format!("send_message_{n} | POST | Send a message to a channel | Message channel page contact room. | channel\n");
    let theirs = ActionIndex::build(&platform("theirs", "Slack", "Notion", &[], &(0..500).map(line).collect::<String>()));
    let again: Vec<Vec<Hit>> = GOALS.iter().map(|(goal, _)| find(&ours, goal, 20)).collect();
    assert_eq!(alone, again);

    let mut set: Vec<&ActionIndex> = ours.iter().collect();
    set.push(&theirs);
    let together = search(&set, "send a message to a channel", 5, &|_, _| true);
    assert!(together.iter().any(|hit| hit.connector == "theirs"));
    assert_ne!(together[0].score, find(&ours, "send a message to a channel", 1)[0].score, "the statistics are those of the set");
}

#[test]
fn statistics_are_summed_over_the_set() {
    let line = |n: usize| format!("a{n:03} | GET | Read {} | Nothing. |\n", if n == 0 { "quokka" } else { "wombat" });
    let first = ActionIndex::build(&platform("one", "One", "", &[], &(0..50).map(line).collect::<String>()));
    let second = ActionIndex::build(&platform("two", "Two", "", &[], "a000 | GET | Read wombat | Nothing. |"));
    let found = search(&[&first, &second], "wombat", 100, &|_, _| true);
    assert_eq!(found.len(), 50);
    // Nothing but the place in its connector's list makes a difference.
    assert!(found.iter().all(|hit| hit.score > found[0].score * 0.85), "a rare word of its own index is common in the set: {found:?}");
}

#[test]
fn a_letter_amiss_still_finds() {
    let indexes = indexes();
    for (goal, wanted) in [
        ("archve a chanel", "slack/conversations_archive"),
        ("mrege contacts", "hubspot/contacts_merge"),
        ("serach for contacts in hubpsot", "hubspot/contacts_search"),
        ("show piplines", "hubspot/pipelines_list"),
    ] {
        assert_eq!(first(&indexes, goal), wanted, "{goal}");
    }
    assert!(find(&indexes, "pim", 5).is_empty(), "short words are not guessed at");
}

#[test]
fn hostile_goals_are_words_or_nothing() {
    let indexes = indexes();
    for nothing in
        ["", " \n\t", "!?…—·", "🎉🚀👩‍👩‍👧", "\u{0}\u{1b}[31m\u{202e}", "the of and to", "删除一个文件", "()[]{}^~*?:\\\"", "\u{301}\u{300}"]
    {
        assert!(find(&indexes, nothing, 5).is_empty(), "{nothing:?}");
    }
    for syntax in
        ["+message -send", "name:message", "\"message\"~3", "mess* AND (message OR", "/mess.*age/ message", "message^99", "{message TO *]"]
    {
        assert!(!find(&indexes, syntax, 5).is_empty(), "{syntax:?}");
    }
    for goal in ["在Slack发消息", "Sende eine Nachricht an einen Kanal in Slack", "Отправить сообщение в Slack", "slackにメッセージを送る"]
    {
        assert!(find(&indexes, goal, 1).iter().all(|hit| hit.connector == "slack") && !find(&indexes, goal, 1).is_empty(), "{goal:?}");
    }
    let words: String = (0..200_000).map(|n| format!("w{n} ")).collect();
    for huge in ["message ".repeat(125_000), "x".repeat(1_000_000), "é".repeat(500_000), "aB".repeat(500_000), "_".repeat(1_000_000), words]
    {
        find(&indexes, &huge, 5);
    }
    let late = format!("{} archive", "x ".repeat(1_000));
    assert!(
        !names(&find(&indexes, &late, 5)).contains(&"slack/conversations_archive".to_owned()),
        "what follows 2,000 characters is not read"
    );
}

#[test]
fn the_place_counts_more_than_another_platform_that_is_named() {
    let indexes = indexes();
    for (goal, connector) in [
        ("put the Notion notifications into our Slack channel", "slack"),
        ("Slack: tell everybody that the Notion page is there", "slack"),
        ("write down in Notion what was said on the Slack channel", "notion"),
    ] {
        assert!(first(&indexes, goal).starts_with(&format!("{connector}/")), "{goal}: {:?}", names(&find(&indexes, goal, 3)));
    }
}

#[test]
fn other_languages_that_name_the_platform_find_the_action() {
    let indexes = indexes();
    for (goal, wanted) in [
        ("crea un canal en Slack", "slack/conversations_create"),
        ("archive le canal Slack", "slack/conversations_archive"),
        ("lösche die Nachricht in Slack", "slack/chat_delete"),
        ("cerca una pagina in Notion", "notion/search"),
        ("maak een nieuw contact aan in HubSpot", "hubspot/contacts_create"),
    ] {
        assert_eq!(first(&indexes, goal), wanted, "{goal}");
    }
}

#[test]
fn keywords_and_synonyms_of_a_connector_find_its_actions() {
    let mut definition =
        platform("zoo", "Zoo", "", &[], "feed | POST | Feed an animal | Gives food. |\nwash | POST | Wash a cage | Cleans. |");
    definition.synonyms.insert("animal".to_owned(), "critter, beast".to_owned());
    definition.actions["wash"].keywords = "scrub, hose down".to_owned();
    let index = ActionIndex::build(&definition);
    let first = |goal: &str| names(&search(&[&index], goal, 1, &|_, _| true));
    assert_eq!(first("nourish the beast"), ["zoo/feed"]);
    assert_eq!(first("scrub everything"), ["zoo/wash"]);
    assert!(first("beasts of burden") == ["zoo/feed"] && first("nothing of that").is_empty());
}

#[test]
fn hostile_definitions_are_indexed() {
    let nothing = ActionIndex::build(&platform("", "", "", &[], ""));
    assert!(search(&[&nothing], "anything at all", 5, &|_, _| true).is_empty());
    assert!(search(&[], "anything at all", 5, &|_, _| true).is_empty());
    let long = format!("a_{} | GET | {} | {} | {}", "b".repeat(70_000), "ü".repeat(70_000), "word ".repeat(200_000), "p".repeat(100_000));
    let strange = ActionIndex::build(&platform("…", "🎉", "\u{0}", &["\u{202e}"], &format!("🎉 | GET | 🎉 | 🎉 | 🎉\n{long}")));
    assert_eq!(search(&[&strange, &nothing], "word", 5, &|_, _| true).len(), 1);
}
