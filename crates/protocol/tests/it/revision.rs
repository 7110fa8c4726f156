//! Names, order and negotiation of revisions.

use amalgam_protocol::revision::{ALL, LATEST, LATEST_LEGACY, Revision, SUPPORTED, names_modern, negotiate};

#[test]
fn names_and_order_agree() {
    assert!(ALL.is_sorted());
    assert_eq!(ALL.map(Revision::as_str), SUPPORTED);
    for revision in ALL {
        assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        assert_eq!(revision.is_modern(), names_modern(revision.as_str()));
    }
    assert_eq!(LATEST, Revision::V2026_07_28);
    assert_eq!(Revision::parse("2026-07-28 "), None);
}

#[test]
fn initialize_agrees_on_a_revision_with_a_handshake() {
    assert_eq!(negotiate("2024-11-05"), Revision::V2024_11_05);
    for other in ["2026-07-28", "2099-01-01", "2024-10-07", "", "x"] {
        assert_eq!(negotiate(other), LATEST_LEGACY);
    }
}

#[test]
fn only_dates_are_modern() {
    assert!(names_modern("2027-01-01"));
    for other in ["zzzz", "2026-07-27", "2026-7-28", "9999/99/99", "2026-07-28x", "é026-07-28"] {
        assert!(!names_modern(other), "{other}");
    }
}
