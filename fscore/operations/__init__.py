"""Operations: generators that yield commands, so that both drivers run the same code."""
