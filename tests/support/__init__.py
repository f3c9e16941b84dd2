"""What tests share: problems, tiny data sets, processes to be killed, checks of refusals."""
