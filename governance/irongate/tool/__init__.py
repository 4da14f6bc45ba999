"""Gates and policy for what a model asks tools to do, and for text that tools and sensors bring in."""
