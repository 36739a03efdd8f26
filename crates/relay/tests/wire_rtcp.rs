//! RTCP: what we write `rtc-rtcp` reads, what it writes we read, and noise harms neither.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use proptest::prelude::*;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::{unmarshal, Packet};
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::{SdesType, SourceDescription};
use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    nack_pairs_from_sequence_numbers, TransportLayerNack,
};
use rtc_shared::marshal::Marshal;
use sealcast_relay::rtcp::{
    parse, CompoundWriter, ReportBlockFields, RtcpItem, SenderReportFields, TICKS_PER_REFERENCE,
};

fn report_blocks() -> impl Strategy<Value = Vec<ReportBlockFields>> {
    let block = (
        any::<u32>(),
        any::<u8>(),
        -0x80_0000_i64..0x80_0000,
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(
            |(about_ssrc, fraction_lost, cumulative_lost, highest_seq, jitter, last_sr, delay)| {
                ReportBlockFields {
                    about_ssrc,
                    fraction_lost,
                    cumulative_lost,
                    highest_seq,
                    jitter,
                    last_sr,
                    delay_since_sr: delay,
                }
            },
        );
    prop::collection::vec(block, 0..=31)
}

fn sender_report() -> impl Strategy<Value = SenderReportFields> {
    (
        any::<u32>(),
        any::<u64>(),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(
            |(ssrc, ntp, rtp_timestamp, packets, octets)| SenderReportFields {
                ssrc,
                ntp,
                rtp_timestamp,
                packets,
                octets,
            },
        )
}

fn theirs(block: &ReportBlockFields) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.about_ssrc,
        fraction_lost: block.fraction_lost,
        total_lost: block.cumulative_lost as u32 & 0xFF_FFFF,
        last_sequence_number: block.highest_seq,
        jitter: block.jitter,
        last_sender_report: block.last_sr,
        delay: block.delay_since_sr,
    }
}

/// The items of a compound as text: borrowed iterators in them cannot be compared otherwise.
fn told(compound: &[u8]) -> Vec<String> {
    parse(compound)
        .map(|item| match item {
            RtcpItem::Nack { media_ssrc, lost } => {
                format!("Nack {media_ssrc} {:?}", lost.collect::<Vec<_>>())
            }
            item => format!("{item:?}"),
        })
        .collect()
}

fn assert_blocks(items: &[RtcpItem<'_>], from: u32, blocks: &[ReportBlockFields]) {
    assert_eq!(items.len(), blocks.len());
    for (item, block) in items.iter().zip(blocks) {
        let RtcpItem::ReportBlock {
            reporter,
            about_ssrc,
            fraction_lost,
            cumulative_lost,
            highest_seq,
            jitter,
            last_sr,
            delay_since_sr,
        } = *item
        else {
            panic!("not a report block: {item:?}");
        };
        let read = ReportBlockFields {
            about_ssrc,
            fraction_lost,
            cumulative_lost: i64::from(cumulative_lost),
            highest_seq,
            jitter,
            last_sr,
            delay_since_sr,
        };
        assert_eq!((reporter, read), (from, *block));
    }
}

fn read_by_them(compound: &[u8]) -> Vec<Box<dyn Packet>> {
    unmarshal(&mut &compound[..]).unwrap()
}

proptest! {
    #[test]
    fn sender_reports_agree_with_rtc_rtcp(fields in sender_report(), blocks in report_blocks(), cname in "[a-z0-9]{0,40}") {
        let mut buffer = [0; 1200];
        let mut writer = CompoundWriter::new(&mut buffer);
        prop_assert!(writer.sender_report(&fields, &blocks));
        prop_assert!(writer.cname(fields.ssrc, &cname));
        let len = writer.len();
        let packets = read_by_them(&buffer[..len]);
        let report = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        prop_assert_eq!(report.ssrc, fields.ssrc);
        prop_assert_eq!(report.ntp_time, fields.ntp);
        prop_assert_eq!(report.rtp_time, fields.rtp_timestamp);
        prop_assert_eq!((report.packet_count, report.octet_count), (fields.packets, fields.octets));
        prop_assert_eq!(&report.reports, &blocks.iter().map(theirs).collect::<Vec<_>>());
        let description = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
        prop_assert_eq!(description.chunks[0].source, fields.ssrc);
        prop_assert_eq!(description.chunks[0].items[0].sdes_type, SdesType::SdesCname);
        prop_assert_eq!(&description.chunks[0].items[0].text[..], cname.as_bytes());

        let written_by_them = report.marshal().unwrap();
        prop_assert_eq!(&written_by_them[..], &buffer[..written_by_them.len()]);
        let items: Vec<_> = parse(&written_by_them).collect();
        let RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets } = items[0] else {
            panic!("not a sender report");
        };
        prop_assert_eq!(SenderReportFields { ssrc, ntp, rtp_timestamp, packets, octets }, fields);
        assert_blocks(&items[1..], fields.ssrc, &blocks);
    }

    #[test]
    fn receiver_reports_agree_with_rtc_rtcp(reporter: u32, blocks in report_blocks()) {
        let mut buffer = [0; 1200];
        let mut writer = CompoundWriter::new(&mut buffer);
        prop_assert!(writer.receiver_report(reporter, &blocks));
        let len = writer.len();
        let packets = read_by_them(&buffer[..len]);
        let report = packets[0].as_any().downcast_ref::<ReceiverReport>().unwrap();
        prop_assert_eq!(report.ssrc, reporter);
        prop_assert_eq!(&report.reports, &blocks.iter().map(theirs).collect::<Vec<_>>());
        let items: Vec<_> = parse(&buffer[..len]).collect();
        assert_blocks(&items, reporter, &blocks);
    }

    #[test]
    fn nacks_agree_with_rtc_rtcp(sender: u32, media: u32, start: u16, gaps in prop::collection::vec(1_u16..40, 1..60)) {
        let mut next = start;
        let lost: Vec<u16> = gaps.iter().map(|gap| { next = next.wrapping_add(*gap); next }).collect();
        let mut buffer = [0; 1200];
        let mut writer = CompoundWriter::new(&mut buffer);
        prop_assert_eq!(writer.nack(sender, media, lost.iter().copied()), lost.len());
        let len = writer.len();
        let packets = read_by_them(&buffer[..len]);
        let nack = packets[0].as_any().downcast_ref::<TransportLayerNack>().unwrap();
        prop_assert_eq!((nack.sender_ssrc, nack.media_ssrc), (sender, media));
        let read: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        prop_assert_eq!(&read, &lost);

        let by_them = TransportLayerNack {
            sender_ssrc: sender,
            media_ssrc: media,
            nacks: nack_pairs_from_sequence_numbers(&lost),
        };
        let by_them = by_them.marshal().unwrap();
        prop_assert_eq!(told(&by_them), vec![format!("Nack {media} {lost:?}")]);
    }

    #[test]
    fn a_nack_that_does_not_fit_says_how_far_it_came(room in 0_usize..64, count in 0_u16..40) {
        let lost: Vec<u16> = (0..count).map(|index| index * 20).collect(); // one entry each
        let mut buffer = [0; 64];
        let mut writer = CompoundWriter::new(&mut buffer[..room]);
        let written = writer.nack(1, 2, lost.iter().copied());
        let len = writer.len();
        prop_assert_eq!(written, usize::from(count).min(room.saturating_sub(12) / 4));
        if written > 0 {
            prop_assert_eq!(told(&buffer[..len]), vec![format!("Nack 2 {:?}", &lost[..written])]);
        } else {
            prop_assert_eq!(len, 0);
        }
    }

    #[test]
    fn transport_feedback_reads_back_and_agrees_with_rtc_rtcp(
        base: u16,
        count: u8,
        start in 0_i64..1_000_000_000,
        steps in prop::collection::vec(
            prop_oneof![
                3 => Just(None),
                6 => (0_i64..300).prop_map(Some),
                1 => (-400_i64..33_000).prop_map(Some),
            ],
            1..400,
        ),
        run in 0_usize..60,
        room in 40_usize..1200,
    ) {
        let mut ticks = start;
        let mut arrivals: Vec<Option<i64>> =
            steps.iter().map(|step| step.map(|step| { ticks += step; ticks })).collect();
        arrivals.extend((0..run).map(|index| Some(ticks + index as i64)));
        let mut buffer = [0; 1200];
        let mut writer = CompoundWriter::new(&mut buffer[..room]);
        let covered = writer.transport_feedback(1, 2, count, base, arrivals.iter().copied());
        let len = writer.len();
        prop_assert!(len <= room);
        if covered == 0 {
            prop_assert_eq!(len, 0);
            return Ok(());
        }
        let Some(RtcpItem::TransportFeedback(read)) = parse(&buffer[..len]).next() else {
            panic!("our own message is not read");
        };
        prop_assert_eq!((read.base_sequence, read.feedback_count), (base, count));
        prop_assert_eq!(usize::from(read.status_count), covered);
        let mut clock = i64::from(read.reference_time) * TICKS_PER_REFERENCE;
        let mut deltas = Vec::new();
        for (index, (sequence, delta)) in read.packets().enumerate() {
            prop_assert_eq!(sequence, base.wrapping_add(index as u16));
            let arrival = delta.map(|delta| { clock += i64::from(delta); clock });
            // The reference time has 24 bits: compare within its range of 64 ms units.
            let range = TICKS_PER_REFERENCE << 24;
            prop_assert_eq!(arrival.map(|a| a.rem_euclid(range)), arrivals[index].map(|a| a.rem_euclid(range)));
            deltas.extend(delta);
        }
        prop_assert!(arrivals[covered - 1].is_some(), "trailing losses are left for later");

        let packets = read_by_them(&buffer[..len]);
        let theirs = packets[0].as_any().downcast_ref::<TransportLayerCc>().unwrap();
        prop_assert_eq!(theirs.base_sequence_number, base);
        prop_assert_eq!(usize::from(theirs.packet_status_count), covered);
        let their_deltas: Vec<i64> = theirs.recv_deltas.iter().map(|delta| delta.delta / 250).collect();
        prop_assert_eq!(their_deltas, deltas.iter().map(|delta| i64::from(*delta)).collect::<Vec<_>>());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = told(&bytes);
        for item in parse(&bytes) {
            if let RtcpItem::TransportFeedback(feedback) = item {
                prop_assert_eq!(feedback.packets().count(), usize::from(feedback.status_count));
            }
        }
    }

    #[test]
    fn hostile_bodies_in_a_sound_frame_never_panic(
        packets in prop::collection::vec(
            (0_u8..32, 199_u8..208, prop::collection::vec(any::<u8>(), 0..48), any::<bool>()),
            1..5,
        ),
    ) {
        let mut compound = Vec::new();
        for (count, packet_type, mut body, padded) in packets {
            body.resize(body.len() / 4 * 4, 0);
            compound.extend_from_slice(&[0x80 | u8::from(padded) << 5 | count, packet_type, 0, (body.len() / 4) as u8]);
            compound.extend_from_slice(&body);
        }
        let _ = told(&compound);
        let (mut items, mut asked) = (0, 0);
        for item in parse(&compound) {
            items += 1;
            match item {
                RtcpItem::TransportFeedback(feedback) => {
                    prop_assert_eq!(feedback.packets().count(), usize::from(feedback.status_count));
                }
                RtcpItem::Nack { lost, .. } => asked += lost.count(),
                _ => {}
            }
        }
        // Each statement stands on four bytes at least, and four bytes of a NACK name a packet and
        // the sixteen behind it (RFC 4585 §6.2.1): what a peer makes us do is bounded by what it
        // sends.
        prop_assert!(items <= compound.len() / 4, "{items} items in {} bytes", compound.len());
        prop_assert!(asked <= 17 * compound.len() / 4, "{asked} numbers in {} bytes", compound.len());
    }
}

#[test]
fn the_small_messages_of_rtc_rtcp_are_read() {
    let pli = PictureLossIndication {
        sender_ssrc: 1,
        media_ssrc: 2,
    }
    .marshal()
    .unwrap();
    assert_eq!(told(&pli), ["Pli { media_ssrc: 2 }"]);
    let fir = FullIntraRequest {
        sender_ssrc: 1,
        media_ssrc: 0,
        fir: vec![
            FirEntry {
                ssrc: 5,
                sequence_number: 9,
            },
            FirEntry {
                ssrc: 6,
                sequence_number: 1,
            },
        ],
    };
    assert_eq!(
        told(&fir.marshal().unwrap()),
        [
            "Fir { media_ssrc: 5, command: 9 }",
            "Fir { media_ssrc: 6, command: 1 }"
        ]
    );
    let remb = ReceiverEstimatedMaximumBitrate {
        sender_ssrc: 1,
        bitrate: 2_097_152.0,
        ssrcs: vec![7],
    };
    assert_eq!(
        told(&remb.marshal().unwrap()),
        ["Remb { bitrate: 2097152 }"]
    );
    let bye = Goodbye {
        sources: vec![3, 4],
        reason: "done".into(),
    }
    .marshal()
    .unwrap();
    assert_eq!(told(&bye), ["Bye { ssrc: 3 }", "Bye { ssrc: 4 }"]);
}

#[test]
fn our_pli_and_bye_are_read_by_rtc_rtcp() {
    let mut buffer = [0; 64];
    let mut writer = CompoundWriter::new(&mut buffer);
    assert!(writer.is_empty());
    assert!(writer.pli(1, 2));
    assert!(writer.bye(1));
    let len = writer.len();
    let packets = read_by_them(&buffer[..len]);
    let pli = packets[0]
        .as_any()
        .downcast_ref::<PictureLossIndication>()
        .unwrap();
    assert_eq!((pli.sender_ssrc, pli.media_ssrc), (1, 2));
    let bye = packets[1].as_any().downcast_ref::<Goodbye>().unwrap();
    assert_eq!(bye.sources, [1]);
}

#[test]
fn broken_framing_lets_no_part_of_a_compound_take_effect() {
    let mut buffer = [0; 64];
    let mut writer = CompoundWriter::new(&mut buffer);
    assert!(writer.pli(1, 2));
    assert!(writer.bye(1));
    let len = writer.len();
    for cut in 0..len {
        if cut != 12 {
            assert_eq!(told(&buffer[..cut]), ["Malformed"], "cut at {cut}");
        }
    }
    buffer[12] = 0x41; // the second packet's version
    assert_eq!(told(&buffer[..len]), ["Malformed"]);
}

#[test]
fn a_packet_too_short_for_its_type_is_named_and_the_others_stand() {
    let compound = [
        0x81, 206, 0, 1, 0, 0, 0, 1, // a PLI without a media source
        0x81, 203, 0, 1, 0, 0, 0, 9,
    ];
    assert_eq!(told(&compound), ["Malformed", "Bye { ssrc: 9 }"]);
    let contradiction = [
        0x8F, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, // feedback on 100 packets, chunk for 20
        0, 0, 0, 100, 0, 0, 0, 0,
    ];
    assert_eq!(told(&contradiction), ["Malformed"]);
}

#[test]
fn padding_is_taken_off_wherever_it_stands() {
    let compound = [
        0xA1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4, // padded by four, not the last
        0x81, 203, 0, 1, 0, 0, 0, 9,
    ];
    assert_eq!(told(&compound), ["Bye { ssrc: 7 }", "Bye { ssrc: 9 }"]);
    for count in [0, 9, 255] {
        let mut false_count = compound;
        false_count[11] = count;
        assert_eq!(told(&false_count), ["Malformed"]);
    }
}

#[test]
fn the_greatest_bitrate_does_not_overflow() {
    let compound = [
        0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0xFF, 0xFF, 0xFF, 0, 0,
        0, 3,
    ];
    assert_eq!(
        told(&compound),
        [format!("Remb {{ bitrate: {} }}", u64::MAX)]
    );
}

#[test]
fn more_blocks_than_a_report_can_count_are_refused() {
    let block = ReportBlockFields {
        about_ssrc: 1,
        fraction_lost: 0,
        cumulative_lost: 0,
        highest_seq: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_sr: 0,
    };
    let mut buffer = [0; 1500];
    let mut writer = CompoundWriter::new(&mut buffer);
    assert!(!writer.receiver_report(1, &[block; 32]));
    assert!(writer.is_empty());
    assert!(writer.receiver_report(1, &[block; 31]));
}
