"""What an answer says of each hit: the words it shows, the line at its time, how likely it is a match; as JSON."""
