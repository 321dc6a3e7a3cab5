"""What labels are made of: grades of tissue, sizes, votes with their evidence. Which of them counts is the stage's."""
