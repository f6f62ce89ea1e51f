use super::Replies;
use crate::resp::{Reply, ReplyBuilder, ReplyTooLarge, Token};

/// Commands of any kind, whose replies become owned trees: the registry, administration, tools.
#[derive(Debug)]
pub struct RawJob {
    expected: usize,
    builder: ReplyBuilder,
    replies: Vec<Result<Reply, ReplyTooLarge>>,
}

impl RawJob {
    /// A job of `expected` commands, whose replies may take about `limit` bytes each.
    pub fn new(expected: usize, limit: usize) -> Self {
        let replies = Vec::with_capacity(expected.min(64));
        RawJob {
            expected,
            builder: ReplyBuilder::new(limit),
            replies,
        }
    }

    /// The replies so far, in the order of the commands.
    pub fn replies(&self) -> &[Result<Reply, ReplyTooLarge>] {
        &self.replies
    }

    /// The same replies, by value.
    pub fn into_replies(self) -> Vec<Result<Reply, ReplyTooLarge>> {
        self.replies
    }
}

impl Replies for RawJob {
    fn expected(&self) -> usize {
        self.expected
    }

    fn token(&mut self, _reply: usize, _depth: usize, token: Token<'_>) {
        self.builder.token(token);
    }

    fn finish(&mut self, _reply: usize) {
        let reply = self.builder.finish();
        self.replies.push(reply);
    }
}
