"""The paper: one document made from run directories alone."""
