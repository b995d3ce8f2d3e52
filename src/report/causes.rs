//! Colours and words for what becomes of messages.

#[cfg(feature = "charts")]
use plotters::style::RGBColor;

#[cfg(feature = "charts")]
use super::chart::palette;
use crate::analysis::ledger::Cause;
use crate::analysis::writes::WriteLoss;

/// The colour of a cause, the same in every picture, and of nothing else: Okabe and Ito's hues are those of nodes and faults.
/// Causes of a kind share a hue and differ in lightness.
#[cfg(feature = "charts")]
pub(crate) fn color(cause: Cause) -> RGBColor {
    match cause {
        Cause::RefusedNoServer => RGBColor(0xb5, 0x4a, 0x3a),
        Cause::ProxyDown => RGBColor(0x8a, 0x3d, 0x00),
        Cause::ConnectionRefused => RGBColor(0xd3, 0x8b, 0x62),
        Cause::ConnectTimeout => RGBColor(0x94, 0x66, 0x00),
        Cause::ConnectionCut => RGBColor(0x5e, 0x3c, 0x58),
        Cause::ProxyIdleTimeout => RGBColor(0xe8, 0xb4, 0xd2),
        Cause::ReplyTimeout => RGBColor(0x8a, 0x35, 0x66),
        Cause::PoolTimeout => palette::GREY,
        Cause::NoMaster => RGBColor(0xb8, 0xa9, 0x8a),
        Cause::Loading => RGBColor(0x7a, 0x7d, 0x2e),
        Cause::ErrorReply => RGBColor(0x4d, 0x4d, 0x4d),
        Cause::AcceptedByReplica => RGBColor(0xb4, 0xc8, 0x5c),
        Cause::SubscriberPinnedToOldMaster => RGBColor(0x6a, 0x51, 0xa3),
        Cause::SubscriberReconnecting => RGBColor(0x9e, 0x9a, 0xc8),
        Cause::OutputBufferKill => RGBColor(0x9a, 0xd9, 0xc4),
        Cause::AcceptedButNobodySubscribed => RGBColor(0x00, 0x3f, 0x66),
        Cause::CutInDelivery => RGBColor(0x00, 0x57, 0x40),
    }
}

/// A cause in words.
pub(crate) const fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::RefusedNoServer => "refused: HAProxy has no server",
        Cause::ProxyDown => "HAProxy is down",
        Cause::ConnectionRefused => "connection refused",
        Cause::ConnectTimeout => "connect timeout",
        Cause::ConnectionCut => "connection cut before the reply",
        Cause::ProxyIdleTimeout => "HAProxy's idle timeout",
        Cause::ReplyTimeout => "no reply in time",
        Cause::PoolTimeout => "pool timeout",
        Cause::NoMaster => "no Sentinel names a master",
        Cause::Loading => "the server loads its data (-LOADING)",
        Cause::ErrorReply => "error reply",
        Cause::AcceptedByReplica => "accepted by a replica",
        Cause::SubscriberPinnedToOldMaster => "subscriber pinned to the old master",
        Cause::SubscriberReconnecting => "subscriber reconnecting",
        Cause::OutputBufferKill => "output buffer of the subscriber full",
        Cause::AcceptedButNobodySubscribed => "accepted, nobody subscribed",
        Cause::CutInDelivery => "cut in delivery",
    }
}

/// The colour of acknowledged writes that were lost: no cause of a lost message has it.
#[cfg(feature = "charts")]
pub(crate) const LOST_WRITE: RGBColor = RGBColor(0xb0, 0x00, 0x20);

/// Why an acknowledged write was lost, in words.
pub(crate) const fn write_words(why: WriteLoss) -> &'static str {
    match why {
        WriteLoss::NotReplicatedBeforePromotion => "not replicated before the promotion",
        WriteLoss::OverwrittenAtResync => "overwritten when the old master resynchronised",
        WriteLoss::StrandedOnOldMaster => "stranded on an old master",
        WriteLoss::GoneWithItsServer => "gone with the server that had it",
        WriteLoss::LostAtRestart => "lost when the master restarted",
        WriteLoss::AofNotSynced => "the append-only file had not been synced",
        WriteLoss::Deleted => "deleted by a command",
        WriteLoss::EndedEarly => "ended early: the clock of its server was ahead",
        WriteLoss::Unexplained => "for no reason that the recording shows",
    }
}

#[cfg(all(test, feature = "charts"))]
mod tests {
    use super::*;

    #[test]
    fn no_two_causes_share_a_colour() {
        let mut colors: Vec<RGBColor> = Cause::ALL.map(color).to_vec();
        colors.push(LOST_WRITE);
        for (i, a) in colors.iter().enumerate() {
            assert!(!colors[i + 1..].contains(a), "{a:?}");
        }
    }
}
