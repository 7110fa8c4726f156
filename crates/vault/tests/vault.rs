//! The vault: round trips, and everything that must not open.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use amalgam_vault::{
    DataKey, MAX_ID_CHARS, MAX_PAYLOAD, MasterKey, VaultError, hash_token, hex, keyed_hash, open, open_id, read_hex, same, seal, seal_id,
    sealed_by, url_safe,
};
use proptest::prelude::*;

fn key() -> DataKey {
    DataKey::new("rows-1", [7; 32]).unwrap()
}

fn error<T>(result: Result<T, VaultError>) -> VaultError {
    result.err().unwrap()
}

const OWNER: [&str; 4] = ["account", "user", "slack", "0123456789abcdef01234567"];

#[test]
fn hexadecimal_digits_are_read_back() {
    let mut bytes = [0; 32];
    assert!(read_hex(&hex(&hash_token("abc")), &mut bytes).is_some());
    assert_eq!(bytes, hash_token("abc"));
    for wrong in ["", "0", "0102", "zz", "+1", "0é", "010"] {
        assert!(read_hex(wrong, &mut [0; 1]).is_none(), "{wrong}");
    }
}

#[test]
fn fingerprints_tell_texts_apart_under_one_key() {
    let of = |text: &[u8]| key().fingerprint(text).unwrap();
    assert_eq!(of(b"abc"), of(b"abc"));
    assert_ne!(of(b"abc"), DataKey::new("rows-1", [8; 32]).unwrap().fingerprint(b"abc").unwrap());
    let long = [b'x'; 10_000];
    let all: BTreeSet<_> =
        (0..200).chain([9_999, 10_000]).map(|length| of(&long[..length])).chain([of(b"abc"), of(&[0; 3]), of(&[0; 16])]).collect();
    assert_eq!(all.len(), 205, "also of texts of other lengths, and of zeros");
}

#[test]
fn a_row_opens_for_its_owner_only() {
    let sealed = seal(&key(), [1; 12], &OWNER, b"secret").unwrap();
    assert_eq!(open(&key(), &OWNER, &sealed).unwrap().as_slice(), b"secret");
    for part in 0..OWNER.len() {
        let mut other = OWNER;
        other[part] = "other";
        assert_eq!(error(open(&key(), &other, &sealed)), VaultError::NotOpened);
    }
    assert_eq!(error(open(&key(), &OWNER[..3], &sealed)), VaultError::NotOpened);
    assert_eq!(error(open(&key(), &[], &sealed)), VaultError::NotOpened);
    assert_eq!(error(open(&key(), &[&OWNER[..], &[""]].concat(), &sealed)), VaultError::NotOpened);
}

#[test]
fn a_row_names_its_key() {
    let sealed = seal(&key(), [1; 12], &OWNER, b"secret").unwrap();
    assert_eq!(sealed_by(&sealed), Some("rows-1"));
    let next = DataKey::new("rows-2", [8; 32]).unwrap();
    assert_eq!(error(open(&next, &OWNER, &sealed)), VaultError::OtherKey("rows-1".into()));
    let same_id = DataKey::new("rows-1", [8; 32]).unwrap();
    assert_eq!(error(open(&same_id, &OWNER, &sealed)), VaultError::NotOpened);
}

#[test]
fn ids_and_rows_do_not_open_as_each_other() {
    let row = url_safe(&seal(&key(), [1; 12], &["session"], b"x").unwrap());
    assert_eq!(open_id(&key(), "session", &row), None);
    let id = seal_id(&key(), [1; 12], "session", b"x").unwrap();
    assert_eq!(error(key().open_text(&["session"], &id).map(|_| ())), VaultError::NotOpened);
}

#[test]
fn text_is_text() {
    let sealed = key().seal_text(&OWNER, "tökén".as_bytes(), [2; 12]).unwrap();
    assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert_eq!(key().open_text(&OWNER, &sealed).unwrap().expose(), "tökén");
    let bytes = key().seal_text(&OWNER, &[0xff], [2; 12]).unwrap();
    assert_eq!(error(key().open_text(&OWNER, &bytes)), VaultError::NotText);
    assert_eq!(error(key().open_text(&OWNER, "!")), VaultError::Malformed);
}

#[test]
fn a_data_key_opens_with_its_master_key_and_id_only() {
    let master = MasterKey::generate([1; 32]);
    let stored = key().seal(&master, [9; 12]).unwrap();
    let opened = DataKey::open(&master, "rows-1", &stored).unwrap();
    let row = seal(&key(), [1; 12], &OWNER, b"secret").unwrap();
    assert_eq!(open(&opened, &OWNER, &row).unwrap().as_slice(), b"secret");
    assert_eq!(opened.id(), "rows-1");

    assert_eq!(error(DataKey::open(&MasterKey::generate([2; 32]), "rows-1", &stored)), VaultError::WrongMasterKey);
    assert_eq!(error(DataKey::open(&master, "rows-2", &stored)), VaultError::NotOpened);
    assert_eq!(error(DataKey::open(&master, "rows-1", "")), VaultError::Malformed);
}

#[test]
fn the_master_key_changes_and_rows_stay() {
    let (old, new) = (MasterKey::generate([1; 32]), MasterKey::generate([2; 32]));
    let row = seal(&key(), [1; 12], &OWNER, b"secret").unwrap();
    let stored = key().seal(&old, [3; 12]).unwrap();
    let moved = DataKey::open(&old, "rows-1", &stored).unwrap().seal(&new, [4; 12]).unwrap();
    assert_eq!(error(DataKey::open(&old, "rows-1", &moved)), VaultError::WrongMasterKey);
    assert!(open(&DataKey::open(&new, "rows-1", &moved).unwrap(), &OWNER, &row).is_ok());
}

#[test]
fn a_key_id_is_short_and_visible() {
    for id in ["", "a b", "é", "a\n", &"a".repeat(65), &"a".repeat(300)] {
        assert_eq!(error(DataKey::new(id, [1; 32])), VaultError::KeyId);
    }
    assert!(DataKey::new(&"a".repeat(64), [1; 32]).is_ok());
}

#[test]
fn a_master_key_is_read_in_each_of_its_forms() {
    let expected = "fbefbe00112233445566778899aabbccddeeff0102030405060708090a0b0cff";
    let forms = [
        expected.to_owned(),
        format!(" \n{expected}\r\n"),
        expected.to_uppercase(),
        "+++-".to_owned(), // Mixed alphabets are neither.
        "++++ABEiM0RVZneImaq7zN3u/wECAwQFBgcICQoLDP8=".to_owned(),
        "++++ABEiM0RVZneImaq7zN3u/wECAwQFBgcICQoLDP8".to_owned(),
        "----ABEiM0RVZneImaq7zN3u_wECAwQFBgcICQoLDP8".to_owned(),
    ];
    let read: Vec<Option<String>> =
        forms.iter().map(|text| MasterKey::parse(text).ok().map(|key| key.to_text().expose().to_owned())).collect();
    for (at, (form, read)) in forms.iter().zip(&read).enumerate() {
        assert_eq!(read.is_some(), at != 3, "{form}");
        assert!(read.as_ref().is_none_or(|text| MasterKey::parse(text).unwrap().to_text().expose() == text));
    }
    assert_eq!(read[0].as_deref(), Some(expected));
    assert!(read[1] == read[0] && read[2] == read[0] && read[5] == read[4] && read[6] == read[4]);
}

#[test]
fn a_bad_master_key_is_refused_without_repeating_it() {
    let long = "A".repeat(100_000);
    for text in ["", "hunter2", &"g".repeat(64), &"é".repeat(32), &"a".repeat(63), &"a".repeat(65), &"A".repeat(48), &long] {
        let error = error(MasterKey::parse(text));
        assert_eq!(error, VaultError::MasterKeyText(text.chars().count()));
        assert!(text.is_empty() || !error.to_string().contains(text));
    }
}

#[test]
fn hashes_are_the_known_ones() {
    // FIPS 180-2, "abc".
    assert_eq!(hex(&hash_token("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(url_safe(&[0xfb, 0xff]), "-_8");
    assert!(same(b"a", b"a") && !same(b"a", b"b") && !same(b"a", b"ab") && same(b"", b""));
}

#[test]
fn derived_keys_differ_by_purpose_and_key() {
    let hash = |key: &DataKey, purpose: &str| keyed_hash(&key.derive(purpose).unwrap(), "text");
    let other = DataKey::new("rows-1", [8; 32]).unwrap();
    assert_eq!(hash(&key(), "connect links"), hash(&key(), "connect links"));
    assert_ne!(hash(&key(), "connect links"), hash(&key(), "connect link"));
    assert_ne!(hash(&key(), "connect links"), hash(&other, "connect links"));
}

/// What a released version sealed must open for ever: these texts change only together with the version byte.
#[test]
fn the_formats_stay() {
    let master = MasterKey::generate([1; 32]);
    assert_eq!(key().seal_text(&["a", "b"], b"secret", [2; 12]).unwrap(), "AQZyb3dzLTECAgICAgICAgICAgK-3cN_XPP0vJxRpSl_5f0WiY2NLHvJ");
    assert_eq!(seal_id(&key(), [2; 12], "session", b"payload").unwrap(), "AQZyb3dzLTECAgICAgICAgICAgJ8lTPiyr-10oRcvQsBYMT7ec8NhJHoAA");
    assert_eq!(
        key().seal(&master, [2; 12]).unwrap(),
        "AShOZRyljzwPAgICAgICAgICAgICoYl502XUeyOwFSOCD59jxMIrZKkHEgVU0VbtSxksrnO35l9xvwHkcOfiTa7-c1nb"
    );
    assert_eq!(
        hex(&keyed_hash(&key().derive("connect links").unwrap(), "text")),
        "1d501178f582829e3fc9fde4a6b263ac7d44138fc90b65dfe72c624ef144b0b6"
    );
}

#[test]
fn ids_are_bounded() {
    let longest = DataKey::new(&"k".repeat(64), [7; 32]).unwrap();
    let payload = vec![0; MAX_PAYLOAD];
    let id = seal_id(&longest, [1; 12], "session", &payload).unwrap();
    assert_eq!(id.len(), MAX_ID_CHARS);
    assert_eq!(open_id(&longest, "session", &id), Some(payload));
    assert_eq!(error(seal_id(&longest, [1; 12], "session", &[0; MAX_PAYLOAD + 1])), VaultError::PayloadTooLong);
    assert_eq!(open_id(&longest, "session", &"A".repeat(MAX_ID_CHARS + 1)), None);
}

/// Parts of an owner, and the same characters split elsewhere.
fn splits() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    prop::collection::vec("[a-c\\x00/]{0,3}", 0..5).prop_flat_map(|parts| {
        let text = parts.concat();
        let cuts = prop::collection::vec(0..=text.len(), 0..4);
        (
            Just(parts),
            cuts.prop_map(move |mut cuts| {
                cuts.sort_unstable();
                cuts.push(text.len());
                let mut from = 0;
                cuts.into_iter().map(|to| text[std::mem::replace(&mut from, to)..to].to_owned()).collect()
            }),
        )
    })
}

fn parts(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

proptest! {
    #[test]
    fn what_is_sealed_opens(secret: [u8; 32], nonce: [u8; 12], owner in prop::collection::vec(".{0,40}", 0..6), plain: Vec<u8>) {
        let key = DataKey::new("k", secret).unwrap();
        let sealed = seal(&key, nonce, &parts(&owner), &plain).unwrap();
        prop_assert_eq!(sealed.len(), 2 + 1 + 12 + plain.len() + 16);
        let opened = open(&key, &parts(&owner), &sealed).unwrap();
        prop_assert_eq!(&*opened, &plain);
    }

    #[test]
    fn another_split_of_the_owner_does_not_open((owner, other) in splits(), plain: Vec<u8>) {
        let sealed = seal(&key(), [1; 12], &parts(&owner), &plain).unwrap();
        prop_assert_eq!(open(&key(), &parts(&other), &sealed).is_ok(), owner == other);
    }

    #[test]
    fn any_changed_byte_does_not_open(plain in prop::collection::vec(any::<u8>(), 0..40), flip in 1u8..=255) {
        let sealed = seal(&key(), [1; 12], &OWNER, &plain).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= flip;
            prop_assert!(open(&key(), &OWNER, &changed).is_err());
            prop_assert!(open(&key(), &OWNER, &sealed[..at]).is_err());
        }
        prop_assert!(open(&key(), &OWNER, &[&sealed[..], &[flip]].concat()).is_err());
    }

    #[test]
    fn any_changed_character_of_an_id_does_not_open(payload in prop::collection::vec(any::<u8>(), 0..20), to in "[A-Za-z0-9_=-]") {
        let id = seal_id(&key(), [1; 12], "session", &payload).unwrap();
        prop_assert_eq!(open_id(&key(), "session", &id), Some(payload));
        prop_assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(open_id(&key(), "sessions", &id), None);
        for at in 0..id.len() {
            let changed = format!("{}{to}{}", &id[..at], &id[at + 1..]);
            prop_assert!(changed == id || open_id(&key(), "session", &changed).is_none(), "{}", changed);
        }
    }

    #[test]
    fn a_changed_data_key_does_not_open(flip in 1u8..=255) {
        let master = MasterKey::generate([1; 32]);
        let stored = key().seal(&master, [1; 12]).unwrap();
        for at in 0..stored.len() {
            let mut changed = stored.clone().into_bytes();
            changed[at] ^= flip;
            let opened = DataKey::open(&master, "rows-1", &String::from_utf8_lossy(&changed));
            prop_assert!(opened.is_err());
        }
    }

    #[test]
    fn nothing_hostile_breaks_it(bytes: Vec<u8>, text in ".{0,200}") {
        let _ = (open(&key(), &OWNER, &bytes), sealed_by(&bytes), open_id(&key(), "p", &text), MasterKey::parse(&text));
        let _ = open_id(&key(), "p", &url_safe(&bytes));
        prop_assert!(key().open_text(&OWNER, &text).is_err());
        prop_assert!(DataKey::open(&MasterKey::generate([1; 32]), "k", &text).is_err());
        let mut ours = vec![1, 6];
        ours.extend_from_slice(b"rows-1");
        ours.extend_from_slice(&bytes);
        prop_assert!(open(&key(), &OWNER, &ours).is_err());
    }
}
