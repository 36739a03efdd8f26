//! RTP headers: own reader and writer against each other, against `rtc-rtp`, against noise.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use proptest::prelude::*;
use rtc_shared::marshal::Unmarshal;
use sealcast_relay::rtp::{
    split_retransmission, unwrap_sequence, unwrap_timestamp, write_packet_header, ExtendedSequence,
    ExtendedTimestamp, HeaderFields, RtpError, RtpHeader,
};

fn fields() -> impl Strategy<Value = HeaderFields> {
    (
        any::<bool>(),
        0_u8..128,
        any::<u16>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(
            |(marker, payload_type, sequence, timestamp, ssrc)| HeaderFields {
                marker,
                payload_type,
                sequence,
                timestamp,
                ssrc,
            },
        )
}

fn elements(
    ids: std::ops::Range<u8>,
    lens: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    prop::collection::vec((ids, prop::collection::vec(any::<u8>(), lens)), 0..8)
}

fn write(fields: &HeaderFields, elements: &[(u8, Vec<u8>)], payload: &[u8]) -> Vec<u8> {
    let borrowed: Vec<(u8, &[u8])> = elements
        .iter()
        .map(|(id, value)| (*id, &value[..]))
        .collect();
    let mut packet = vec![0xAA; 4096];
    let len = write_packet_header(&mut packet, fields, &borrowed);
    assert_ne!(len, 0);
    packet.truncate(len);
    packet.extend_from_slice(payload);
    packet
}

fn assert_reads_back(fields: &HeaderFields, elements: &[(u8, Vec<u8>)], payload: &[u8]) {
    let packet = write(fields, elements, payload);
    let header = RtpHeader::parse(&packet).unwrap();
    let read = HeaderFields {
        marker: header.marker,
        payload_type: header.payload_type,
        sequence: header.sequence,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
    };
    assert_eq!(read, *fields);
    assert_eq!(&packet[header.payload.clone()], payload);
    assert_eq!(header.padding, 0);
    let found: Vec<(u8, Vec<u8>)> = header
        .extensions()
        .map(|(id, value)| (id, value.to_vec()))
        .collect();
    assert_eq!(found, elements);
}

proptest! {
    #[test]
    fn a_written_header_reads_back(
        fields in fields(),
        elements in elements(1..15, 1..17),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        assert_reads_back(&fields, &elements, &payload);
    }

    #[test]
    fn an_element_too_wide_for_one_byte_switches_to_the_two_byte_form(
        fields in fields(),
        elements in elements(1..255, 0..200),
    ) {
        assert_reads_back(&fields, &elements, b"payload");
    }

    #[test]
    fn a_header_that_does_not_fit_is_not_written(
        fields in fields(),
        elements in elements(1..15, 1..17),
        room in 0_usize..160,
    ) {
        let borrowed: Vec<(u8, &[u8])> =
            elements.iter().map(|(id, value)| (*id, &value[..])).collect();
        let full = write(&fields, &elements, b"").len();
        let mut out = vec![0; room];
        let len = write_packet_header(&mut out, &fields, &borrowed);
        prop_assert_eq!(len, if full <= room { full } else { 0 });
    }

    #[test]
    fn hostile_bytes_never_panic_and_ranges_stay_inside(
        mut packet in prop::collection::vec(any::<u8>(), 0..96),
        make_version_two in any::<bool>(),
        profile in prop::option::of(prop::sample::select(vec![0xBEDE_u16, 0x1000, 0x100F])),
    ) {
        if let (true, Some(first)) = (make_version_two, packet.first_mut()) {
            *first = *first & 0x3F | 0x80;
        }
        if let (Some(profile), Some(room)) = (profile, packet.get_mut(12..14)) {
            room.copy_from_slice(&profile.to_be_bytes());
        }
        if let Ok(header) = RtpHeader::parse(&packet) {
            prop_assert!(header.payload.end + header.padding == packet.len());
            prop_assert!(header.payload.start >= 12 + 4 * header.csrcs().count());
            let total: usize = header.extensions().map(|(_, value)| value.len() + 1).sum();
            prop_assert!(total <= packet.len());
            let _ = header.extension(5);
        }
    }

    #[test]
    fn what_rtc_rtp_reads_we_read_alike(
        mut packet in prop::collection::vec(any::<u8>(), 12..80),
        extension in prop::option::of(elements(1..15, 1..17)),
    ) {
        packet[0] = 0x80 | packet[0] & 0x0F; // no padding: their header reader does not look at it
        if let Some(elements) = extension {
            let fields = HeaderFields {
                marker: packet[1] & 0x80 != 0,
                payload_type: packet[1] & 0x7F,
                sequence: 7,
                timestamp: 8,
                ssrc: 9,
            };
            packet = write(&fields, &elements, &packet);
        }
        let theirs = rtc_rtp::header::Header::unmarshal(&mut &packet[..]);
        if let (Ok(theirs), Ok(ours)) = (theirs, RtpHeader::parse(&packet)) {
            prop_assert_eq!(ours.marker, theirs.marker);
            prop_assert_eq!(ours.payload_type, theirs.payload_type);
            prop_assert_eq!(ours.sequence, theirs.sequence_number);
            prop_assert_eq!(ours.timestamp, theirs.timestamp);
            prop_assert_eq!(ours.ssrc, theirs.ssrc);
            prop_assert_eq!(ours.csrcs().collect::<Vec<_>>(), theirs.csrc);
            let ours: Vec<(u8, Vec<u8>)> =
                ours.extensions().map(|(id, value)| (id, value.to_vec())).collect();
            let theirs: Vec<(u8, Vec<u8>)> =
                theirs.extensions.iter().map(|e| (e.id, e.payload.to_vec())).collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn unwrapping_finds_the_nearest_number(reference in (1_u64 << 20)..(1 << 60), step in -30_000_i64..30_000) {
        let wanted = reference.checked_add_signed(step).unwrap();
        prop_assert_eq!(unwrap_sequence(reference, wanted as u16), wanted);
        let wanted = reference.checked_add_signed(step * 70_000).unwrap_or(reference);
        prop_assert_eq!(unwrap_timestamp(reference, wanted as u32), wanted);
    }
}

#[test]
fn padding_is_taken_off_and_a_false_count_is_refused() {
    let mut packet = vec![0xA0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xDE, 0xAD, 0, 0, 3];
    let header = RtpHeader::parse(&packet).unwrap();
    assert_eq!((header.payload.clone(), header.padding), (12..14, 3));
    assert!(!header.is_padding_only());

    packet[16] = 5;
    assert!(RtpHeader::parse(&packet).unwrap().is_padding_only());
    for count in [0, 6, 255] {
        packet[16] = count;
        assert_eq!(RtpHeader::parse(&packet).unwrap_err(), RtpError::BadPadding);
    }
    assert_eq!(
        RtpHeader::parse(&packet[..12]).unwrap_err(),
        RtpError::BadPadding
    );
}

#[test]
fn a_header_cut_short_is_refused_at_every_length() {
    let elements = [(3, vec![1, 2, 3]), (4, vec![9])];
    let fields = HeaderFields {
        marker: true,
        payload_type: 96,
        sequence: 1,
        timestamp: 2,
        ssrc: 3,
    };
    let packet = write(&fields, &elements, b"");
    for len in 0..packet.len() {
        assert_eq!(
            RtpHeader::parse(&packet[..len]).unwrap_err(),
            RtpError::TooShort
        );
    }
    let mut other_version = packet;
    other_version[0] ^= 0xC0;
    assert_eq!(
        RtpHeader::parse(&other_version).unwrap_err(),
        RtpError::BadVersion
    );
}

#[test]
fn an_element_that_runs_beyond_its_block_is_none_and_leaves_the_payload_alone() {
    for (profile, block) in [
        ([0xBE, 0xDE], [0x10, 7, 0x2F, 1]),
        ([0x10, 0x00], [1, 0, 2, 16]),
    ] {
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend(profile);
        packet.extend([0, 1]);
        packet.extend(block);
        packet.extend([9; 20]);
        let header = RtpHeader::parse(&packet).expect("the framing is sound");
        let ids: Vec<u8> = header.extensions().map(|(id, _)| id).collect();
        assert_eq!(ids, [1], "what stood before it is still good");
        assert_eq!(packet[header.payload], [9; 20]);
    }
}

#[test]
fn an_element_with_identifier_fifteen_ends_the_block() {
    let packet = [
        0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xBE, 0xDE, 0, 2, // header
        0x10, 0xAA, 0x00, 0xF0, 0xBB, 0x20, 0xCC, 0x00,
    ];
    let header = RtpHeader::parse(&packet).unwrap();
    assert_eq!(header.extensions().collect::<Vec<_>>(), [(1, &[0xAA][..])]);
    assert_eq!(header.extension(2), None);
}

#[test]
fn sequence_numbers_unwrap_across_the_wrap_in_both_directions() {
    let mut sequence = ExtendedSequence::default();
    let start = ExtendedSequence::FIRST_CYCLE;
    assert_eq!(sequence.unwrap(0), start);
    assert_eq!(
        sequence.unwrap(65_535),
        start - 1,
        "sent before the first one received"
    );
    assert_eq!(sequence.unwrap(30_000), start + 30_000);
    assert_eq!(sequence.unwrap(60_000), start + 60_000);
    assert_eq!(sequence.unwrap(1), start + 65_537);
    assert_eq!(sequence.peek(60_001), start + 60_001);
    assert_eq!(sequence.highest(), Some(start + 65_537));

    let mut timestamp = ExtendedTimestamp::default();
    let first = timestamp.unwrap(u32::MAX);
    assert_eq!(timestamp.unwrap(2_999), first + 3_000);
    assert_eq!(timestamp.unwrap(u32::MAX), first);
}

#[test]
fn a_retransmission_opens_with_the_original_sequence_number() {
    assert_eq!(
        split_retransmission(&[0x12, 0x34, 5, 6]),
        Some((0x1234, &[5, 6][..]))
    );
    assert_eq!(split_retransmission(&[0x12]), None);
    assert_eq!(split_retransmission(&[]), None);
}
