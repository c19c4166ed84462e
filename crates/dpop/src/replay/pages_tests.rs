//! Pages that divide.

use super::pages::{PAGE, Pages, Record};

/// Keys like those that a MAC makes.
fn key(number: u64) -> u128 {
    let half = |number: u64| {
        let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        u128::from(number ^ number >> 31)
    };
    half(number) << 64 | half(number ^ u64::MAX)
}

#[test]
fn ops_rep_03_what_was_added_is_there_and_nothing_else_however_pages_divide() {
    let mut pages = Pages::new();
    for number in 0..50_000 {
        let record = Record::new(key(number), number);
        assert!(!pages.contains(&record));
        pages.insert(record);
    }
    assert_eq!(pages.len(), 50_000);
    assert!((0..50_000).all(|number| pages.contains(&Record::new(key(number), 0))));
    assert!((50_000..60_000).all(|number| !pages.contains(&Record::new(key(number), 0))));
    let deepest = pages.pages.iter().map(|page| page.depth).max().unwrap();
    assert_eq!(pages.directory.len(), 1 << deepest, "no larger than the deepest page needs");
    let places: usize = pages.pages.iter().map(|page| page.records.capacity()).sum();
    assert!(places < 2 * 50_000, "{places} places");
    assert!(pages.pages.iter().all(|page| page.records.capacity() <= PAGE));

    pages.retain(|record| record.until_secs() % 2 == 0);
    assert_eq!(pages.len(), 25_000);
    assert!((0..50_000).all(|n| pages.contains(&Record::new(key(n), 0)) == (n % 2 == 0)));
    (50_000..75_000).for_each(|number| pages.insert(Record::new(key(number), number)));
    assert!(pages.pages.iter().all(|page| page.records.capacity() <= PAGE), "places are used again");
}

#[test]
fn ops_rep_03_keys_that_are_all_alike_end_in_one_larger_page() {
    let mut pages = Pages::new();
    (0..1000).for_each(|number| pages.insert(Record::new(number, 1)));
    assert_eq!((pages.len(), pages.pages.len()), (1000, 13));
    assert!((0..1000).all(|number| pages.contains(&Record::new(number, 1))));
}
