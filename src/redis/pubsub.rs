//! Channels and who listens (pubsub.c; spec 31).

use super::Redis;
use super::client::Slot;
use super::roster::Roster;
use crate::mistake::Mistake;
use crate::program::Out;
use crate::wire::{ChannelId, Message, Payload, Reply};

/// The listeners of every channel, in the order in which they subscribed.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels {
    /// By channel.
    exact: Vec<Roster>,
    /// By the channel that the pattern matches.
    patterns: Vec<Roster>,
}

fn list(lists: &mut Vec<Roster>, channel: ChannelId) -> &mut Roster {
    let index = channel.0 as usize;
    if index >= lists.len() {
        lists.resize_with(index + 1, Roster::default);
    }
    &mut lists[index]
}

impl Redis {
    /// Delivers to local subscribers, and says to how many (`pubsubPublishMessage`, spec 31.1).
    pub(super) fn deliver(&mut self, channel: ChannelId, payload: Payload, out: &mut Out) -> i64 {
        let mut receivers = 0;
        for patterns in [false, true] {
            let lists = if patterns { &self.channels.patterns } else { &self.channels.exact };
            let count = lists.get(channel.0 as usize).map_or(0, Roster::places);
            for place in 0..count {
                let lists = if patterns { &self.channels.patterns } else { &self.channels.exact };
                let Some(slot) = lists[channel.0 as usize].at(place) else { continue };
                let client = self.clients.get(slot).expect("subscribers are clients");
                receivers += 1;
                if let Some(sock) = client.sock
                    && !client.close_asap
                {
                    out.send(sock, Message::Push(channel, payload));
                    if let (true, Payload::Sequence { seq, .. }) = (out.mistaken(Mistake::DeliversTwice), payload)
                        && seq % 50 == 49
                    {
                        out.send(sock, Message::Push(channel, payload));
                    }
                    if out.output_buffer_bytes(sock) > 0 {
                        self.check_output_limit(slot, out);
                    }
                }
            }
        }
        receivers
    }

    /// SUBSCRIBE and PSUBSCRIBE of one channel.
    pub(super) fn subscribe(&mut self, slot: Slot, channel: ChannelId, pattern: bool) -> Reply {
        let client = self.clients.get_mut(slot).expect("a client that exists subscribes");
        let (mine, lists) = if pattern {
            (&mut client.patterns, &mut self.channels.patterns)
        } else {
            (&mut client.channels, &mut self.channels.exact)
        };
        if !mine.iter().any(|(known, _)| *known == channel) {
            mine.push((channel, list(lists, channel).join(slot)));
        }
        Reply::Subscribed(channel, client.subscriptions())
    }

    /// UNSUBSCRIBE of one channel.
    pub(super) fn unsubscribe(&mut self, slot: Slot, channel: ChannelId) -> Reply {
        let client = self.clients.get_mut(slot).expect("a client that exists unsubscribes");
        if let Some(place) = client.channels.iter().position(|(known, _)| *known == channel) {
            let (_, ticket) = client.channels.remove(place);
            list(&mut self.channels.exact, channel).leave(ticket);
        }
        Reply::Unsubscribed(channel, client.subscriptions())
    }

    /// Forgets a client that is about to go.
    pub(super) fn unsubscribe_all(&mut self, slot: Slot) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        for (channel, ticket) in std::mem::take(&mut client.channels) {
            list(&mut self.channels.exact, channel).leave(ticket);
        }
        for (channel, ticket) in std::mem::take(&mut client.patterns) {
            list(&mut self.channels.patterns, channel).leave(ticket);
        }
    }
}
