"""Gates that judge a proposed change."""
