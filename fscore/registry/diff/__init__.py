"""What a change of the definitions means for the data that is there."""
