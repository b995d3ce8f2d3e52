//! Colours and words for what becomes of messages.

use plotters::style::RGBColor;

use super::chart::palette;
use crate::analysis::ledger::Cause;

/// The colour of a cause, the same in every picture. Hues are Okabe and Ito's; causes of a kind share a hue and differ
/// in lightness.
pub fn color(cause: Cause) -> RGBColor {
    match cause {
        Cause::RefusedNoServer => palette::VERMILLION,
        Cause::ProxyDown => RGBColor(0x8a, 0x3d, 0x00),
        Cause::ConnectionRefused => palette::ORANGE,
        Cause::ConnectTimeout => RGBColor(0x94, 0x66, 0x00),
        Cause::ConnectionCut => palette::PURPLE,
        Cause::ReplyTimeout => RGBColor(0x8a, 0x35, 0x66),
        Cause::PoolTimeout => palette::GREY,
        Cause::NoMaster => RGBColor(0xb8, 0xa9, 0x8a),
        Cause::ErrorReply => RGBColor(0x4d, 0x4d, 0x4d),
        Cause::AcceptedByReplica => palette::YELLOW,
        Cause::SubscriberPinnedToOldMaster => palette::BLUE,
        Cause::SubscriberReconnecting => palette::SKY,
        Cause::AcceptedButNobodySubscribed => RGBColor(0x00, 0x3f, 0x66),
        Cause::CutInDelivery => RGBColor(0x00, 0x57, 0x40),
    }
}

/// A cause in words.
pub const fn words(cause: Cause) -> &'static str {
    match cause {
        Cause::RefusedNoServer => "refused: HAProxy has no server",
        Cause::ProxyDown => "HAProxy is down",
        Cause::ConnectionRefused => "connection refused",
        Cause::ConnectTimeout => "connect timeout",
        Cause::ConnectionCut => "connection cut before the reply",
        Cause::ReplyTimeout => "no reply in time",
        Cause::PoolTimeout => "pool timeout",
        Cause::NoMaster => "no Sentinel names a master",
        Cause::ErrorReply => "error reply",
        Cause::AcceptedByReplica => "accepted by a replica",
        Cause::SubscriberPinnedToOldMaster => "subscriber pinned to the old master",
        Cause::SubscriberReconnecting => "subscriber reconnecting",
        Cause::AcceptedButNobodySubscribed => "accepted, nobody subscribed",
        Cause::CutInDelivery => "cut in delivery",
    }
}
