use super::*;
use proptest::prelude::*;

fn raw(items: &[(u8, Vec<u8>, Option<String>)]) -> Bytes {
    let mut out = BytesMut::new();
    for (encoding, payload, json) in items {
        push_length(&mut out, payload.len() << 1 | usize::from(json.is_some()));
        if let Some(json) = json {
            push_length(&mut out, json.len());
            out.put_slice(json.as_bytes());
        }
        out.put_u8(*encoding);
        out.put_slice(payload);
    }
    out.freeze()
}

fn sizes(batches: &[Messages]) -> Vec<u32> {
    batches.iter().map(Messages::count).collect()
}

#[test]
fn what_was_written_is_cut_within_the_bounds_of_a_run() {
    let small = (0, vec![1; 10], None);
    let cut = |items: &[_]| Messages::split(raw(items)).expect("messages");
    assert_eq!(sizes(&cut(&vec![small.clone(); 600])), [256, 256, 88]);
    assert_eq!(sizes(&cut(&vec![small.clone(); 257])), [256, 1]);
    assert!(matches!(cut(std::slice::from_ref(&small))[..], [Messages::One(_)]));
    let kibibytes = (0, vec![2; 10 * 1024], None);
    assert_eq!(sizes(&cut(&vec![kibibytes; 13])), [6, 6, 1]);
    let big = (0, vec![3; 1024 * 1024], None);
    assert_eq!(
        sizes(&cut(&[small.clone(), small.clone(), big.clone(), big, small.clone(), small])),
        [2, 1, 1, 2]
    );
    assert_eq!(Messages::split(Bytes::new()), Some(Vec::new().into()));
}

#[test]
fn headers_that_not_everybody_takes_travel_alone_and_what_is_no_json_is_refused() {
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let with = |json: &str| (0, vec![1], Some(json.to_owned()));
    let cut = Messages::split(raw(&[with("{}"), with("[1]"), with(&deep), with("{}")])).expect("messages");
    assert_eq!(sizes(&cut), [2, 1, 1]);
    assert_eq!(Messages::split(raw(&[with("{}"), with("{]")])), None);
}

proptest! {
    #[test]
    fn cutting_keeps_every_message_and_its_size(
        items in prop::collection::vec(
            (any::<u8>(), prop_oneof![8 => 0..200_usize, 1 => 15_000..18_000_usize], prop::option::of("\\{\"[a-z]{0,9}\":[0-9]\\}")),
            0..300,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let items: Vec<_> = items.into_iter().map(|(encoding, size, json)| (encoding, vec![encoding; size], json)).collect();
        let raw = raw(&items);
        let batches = Messages::split(raw.clone()).expect("messages");
        let again: Vec<Item> = batches.iter().flat_map(|batch| batch.items().collect::<Vec<_>>()).collect();
        let shown: Vec<_> = again.iter().map(|Item { payload, json }| {
            (payload.encoding.0, payload.raw.to_vec(), json.as_ref().map(|json| json.as_str().to_owned()))
        }).collect();
        prop_assert_eq!(shown, items);
        for batch in batches.iter() {
            prop_assert_eq!(batch.bytes(), batch.items().map(|item| item.bytes()).sum::<usize>());
            prop_assert_eq!(batch.count() as usize, batch.items().count());
            if let Messages::Packed(packed) = batch {
                prop_assert_eq!(PackedMessages::parse(packed.count().into(), packed.raw().clone()), Some(packed.clone()));
                prop_assert_eq!(&PackedMessages::trusted(packed.count(), packed.raw().clone()), packed);
            }
        }
        // A truncated record is refused, or ends between two messages.
        let cut = cut.index(raw.len() + 1);
        if let Some(fewer) = Messages::split(raw.slice(..cut)) {
            let count = fewer.iter().map(Messages::count).sum::<u32>() as usize;
            prop_assert!(again[..count].iter().eq(fewer.iter().flat_map(|batch| batch.items().collect::<Vec<_>>()).collect::<Vec<_>>().iter()));
        }
    }

    #[test]
    fn what_is_dropped_in_front_is_counted(sizes in prop::collection::vec(0..100_usize, 1..50), count in 0..60_u32) {
        let items: Vec<_> = sizes.iter().map(|size| (0, vec![0; *size], None)).collect();
        let mut packed = PackedMessages::parse(sizes.len() as u64, raw(&items)).expect("messages");
        let all: Vec<Item> = packed.items().collect();
        let dropped = (count as usize).min(sizes.len());
        prop_assert_eq!(packed.advance(count), sizes[..dropped].iter().sum::<usize>());
        prop_assert_eq!(packed.bytes(), sizes[dropped..].iter().sum::<usize>());
        prop_assert!(packed.items().eq(all[dropped..].iter().cloned()));
    }
}
