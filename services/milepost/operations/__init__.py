"""What an operator does to an installation as a whole: back it up, and bring it back."""
