//! The partitions of AWS: commercial, China, GovCloud. Names, endpoints and the home of the global services differ.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/iam-service.html>, <https://docs.aws.amazon.com/general/latest/gr/r53.html>

/// One partition, and where its global services are.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// As in `arn:aws-cn:…`.
    pub name: &'static str,
    /// How the ids of its regions begin.
    regions: &'static [&'static str],
    /// The endpoint of IAM, and the same for FIPS.
    pub iam: &'static str,
    pub iam_fips: &'static str,
    /// The region that calls to IAM are signed for.
    pub iam_region: &'static str,
    /// Where the control plane of Route 53 lives, and what its requests are signed for.
    pub route53: &'static str,
    /// Whether a copy of an encrypted database into another region needs a signed URL of the source's region
    /// (<https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstanceReadReplica.html>, `PreSignedUrl`).
    pub signs_copies: bool,
}

/// Any region that no other row claims is commercial.
const COMMERCIAL: Partition = Partition {
    name: "aws",
    regions: &[],
    iam: "https://iam.amazonaws.com/",
    iam_fips: "https://iam-fips.amazonaws.com/",
    iam_region: "us-east-1",
    route53: "us-east-1",
    signs_copies: false,
};

const OTHERS: [Partition; 2] = [
    Partition {
        name: "aws-cn",
        regions: &["cn-"],
        iam: "https://iam.cn-north-1.amazonaws.com.cn/",
        iam_fips: "https://iam.cn-north-1.amazonaws.com.cn/",
        iam_region: "cn-north-1",
        route53: "cn-northwest-1",
        signs_copies: true,
    },
    Partition {
        name: "aws-us-gov",
        regions: &["us-gov-"],
        iam: "https://iam.us-gov.amazonaws.com/",
        iam_fips: "https://iam.us-gov.amazonaws.com/",
        iam_region: "us-gov-west-1",
        route53: "us-gov-west-1",
        signs_copies: true,
    },
];

/// The partition that a region is in.
pub fn of(region: &str) -> &'static Partition {
    static ALL: [Partition; 2] = OTHERS;
    static REST: Partition = COMMERCIAL;
    ALL.iter().find(|it| it.regions.iter().any(|begin| region.starts_with(begin))).unwrap_or(&REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_is_in_one_partition() {
        for (region, name, route53) in [
            ("us-east-1", "aws", "us-east-1"),
            ("eu-central-2", "aws", "us-east-1"),
            ("cn-north-1", "aws-cn", "cn-northwest-1"),
            ("us-gov-east-1", "aws-us-gov", "us-gov-west-1"),
        ] {
            let partition = of(region);
            assert_eq!((partition.name, partition.route53), (name, route53), "{region}");
        }
    }
}
