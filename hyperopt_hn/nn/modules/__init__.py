"""What any module of torch, converted or not, is doing: where an error arose, what it keeps."""
